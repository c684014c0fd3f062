"""`xray readers`: who reads films."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.terminal import Json, open_home, print_json, tell, view_home

readers_app = typer.Typer(help="Say who reads films.", no_args_is_help=True)


@readers_app.command("add")
def add(name: Annotated[str, typer.Argument(help="as it shall stand beside labels")], as_json: Json = False) -> None:
    """Add a reader.

    Case and blanks do not tell one from another, and who is there already stays.

    Example: xray readers add "Reader A"
    """
    from flows.reading.readers import add_reader

    names = add_reader(open_home(), name)
    if as_json:
        print_json({"readers": names})
    else:
        tell([f"readers: {', '.join(names)}"])


@readers_app.command("list")
def list_(as_json: Json = False) -> None:
    """Who reads, in the order in which they came.

    Example: xray readers list
    """
    from flows.reading.readers import list_readers

    names = list_readers(view_home())
    if as_json:
        print_json({"readers": names})
    else:
        tell(names or ['nobody yet: xray readers add "Reader A"'])
