"""Pictures of every state of the pages at three sizes: `python -m tests.screenshots DIR`.

They are made to be looked at: a fresh home with drawn films (real ones where XRAY_TEST_FILMS has some) is read in a
real browser, and each state is photographed.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from flows.settings import Settings
from tests.browser import Browser, open_browser
from tests.conftest import make_template
from tests.films import FILMS
from tests.flows.reading.robot import read_list, wait_for_film
from tests.flows.reading.served import Served, serve
from tests.flows.scoring.test_scan import drop_xrays, scan

_SIZES = ((900, 700), (1600, 1000), (3840, 2160))
_COUNT = 8


def main(folder: Path) -> None:
    """Fill the folder with `STATE-WIDTH.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as room:
        settings = make_home(Path(room))
        for width, height in _SIZES:
            with open_browser(Path(room) / f"profile{width}") as browser:
                browser.resize(width, height)
                for state in photograph(settings, browser, reader=f"reader {width}"):
                    time.sleep(0.5)
                    browser.screenshot(folder / f"{state}-{width}.png")


def make_home(room: Path) -> Settings:
    """A home with a champion, a few films that were scored, one that is none, and a guide."""
    home = make_template(room, None).home
    settings = Settings(home=home, settle_seconds=0)
    settings.incoming_dir.mkdir(exist_ok=True)
    real = sorted((FILMS / "dataset").glob("*/*.*"))[::30][:_COUNT]
    for path in real:
        shutil.copy(path, settings.incoming_dir)
    if not real:
        drop_xrays(settings.incoming_dir, _COUNT)
    (settings.incoming_dir / "report.png").write_bytes(b"%PDF-1.7 not an image")
    (home / "review-guide.md").write_text("# How we read\n\n* Covid only where the pattern is typical.\n", "utf-8")
    scan(settings)
    return settings


def photograph(settings: Settings, browser: Browser, *, reader: str) -> Iterator[str]:
    """The name of each state while the browser shows it."""
    with serve(settings, "results") as page:
        yield from _show_results(browser, page)
    with serve(settings, "review", "--reader", reader, "--reveal", "1") as page:
        browser.open(page.address)
        wait_for_film(browser)
        yield "reading"
        yield from _open_panels(browser)
        time.sleep(0.6)
        browser.press("c")
        browser.settle()
        yield "reveal"
        browser.press("Enter")
        wait_for_film(browser, "1")
        browser.press("z")
        wait_for_film(browser, "2")
        yield "back"
        page.process.kill()
        time.sleep(0.6)
        browser.press("n")
        yield "error"
    with serve(settings, "review", "--reader", reader, "--reveal", "0") as page:
        browser.open(page.address)
        read_list(browser, lambda _: "n")
        yield "done"
    with serve(settings, "review", "--reader", reader) as page:
        browser.open(page.address)
        yield "empty"


def _show_results(browser: Browser, page: Served) -> Iterator[str]:
    browser.open(page.address)
    yield "results"
    browser.evaluate("document.querySelector('.card a').click()")
    browser.settle()
    yield "result"


def _open_panels(browser: Browser) -> Iterator[str]:
    for key, state in (("?", "help"), ("g", "guide"), ("x", "exclude"), ("f", "note")):
        browser.press(key)
        yield state
        browser.press("Escape")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
