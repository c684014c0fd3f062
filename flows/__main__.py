"""`python -m flows` is `xray`."""

from flows.cli import main

main()
