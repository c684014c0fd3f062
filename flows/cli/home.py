"""What commands have in common: which home is meant, which version this is, and whether JSON is asked for."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import typer

from db.schema import HEAD

Json = Annotated[bool, typer.Option("--json", help="print JSON for a program to read")]


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(
            f"xray {installed_version('xray-scoring')} (ledger revision {HEAD}, Python {platform.python_version()})"
        )
        raise typer.Exit


def choose_home(
    home: Annotated[
        Path | None, typer.Option(help="the data home of this command; default: XRAY_HOME, else ./xray-home")
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", help="print the version and end", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Let `--home` stand for XRAY_HOME, for this command and the processes that it starts."""
    if home is not None:
        os.environ["XRAY_HOME"] = str(home.absolute())
