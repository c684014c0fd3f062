"""`xray results`: films and what was said of them, on a page of this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.terminal import open_home

Browser = Annotated[bool, typer.Option("--browser/--no-browser", help="open the page in a browser")]


def results(browser: Browser = True) -> None:
    """Look at the results on a page of this machine: films, outcomes and why. Nothing can be changed there.

    Example: xray results
    """
    from flows.reading.server import Sitting
    from flows.reading.sitting import show_results

    show_results(open_home(), Sitting("", "/results", opens_browser=browser, say=typer.echo))
