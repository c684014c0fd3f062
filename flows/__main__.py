"""`python -m flows` is `xray`."""

from flows.cli.app import run

run()
