"""The `xray` command: one file per group of commands."""
