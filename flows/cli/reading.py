"""`xray review` and `xray results`: films, and what was said of them, on a page of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.terminal import open_home, say

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
