"""`xray readers`, `xray review` and `xray results`: who reads, and films on a page of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.home import Json
from flows.cli.terminal import open_home, print_json, say, tell, view_home

readers_app = typer.Typer(help="Say who reads films.", no_args_is_help=True)

Browser = Annotated[bool, typer.Option("--browser/--no-browser", help="open the page in a browser")]


def review(
    reader: Annotated[str, typer.Option(help="who reads: the name under which `xray readers` knows you")],
    size: Annotated[int, typer.Option(min=1, max=50, help="how many films a new list has")] = 50,
    reveal: Annotated[
        float, typer.Option(min=0, max=1, help="share of films whose score is shown after your verdict")
    ] = 0.2,
    offline: Annotated[
        Path | None, typer.Option(help="write the page as a folder for another computer instead of serving it")
    ] = None,
    letters: Annotated[
        bool, typer.Option(help="leave burnt-in letters outside the chest in the folder's films; else they are masked")
    ] = False,
    browser: Browser = True,
) -> None:
    """Read films blind, on a page of this machine.

    Every verdict is saved at the key press. Ctrl-C ends it.

    Example: xray review --reader anna
    """
    from flows.reading.server import Sitting
    from flows.reading.sitting import review_served, write_offline

    if offline is not None:
        write_offline(open_home(), reader, offline, size=size, masked=not letters, say=say)
        return
    sitting = Sitting(reader, "/", opens_browser=browser, say=say)
    review_served(open_home(), sitting, size=size, reveal=reveal)


def results(browser: Browser = True) -> None:
    """Look at the results on a page of this machine.

    Films, outcomes and why. Nothing can be changed there.

    Example: xray results
    """
    from flows.reading.server import Sitting
    from flows.reading.sitting import show_results

    show_results(open_home(), Sitting("", "/results", opens_browser=browser, say=say))


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
