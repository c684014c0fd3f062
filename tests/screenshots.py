"""Pictures of every state of the pages at three sizes: `python -m tests.screenshots DIR`.

They are made to be looked at: a fresh home with drawn films (real ones where XRAY_TEST_FILMS has some) is read in a
real browser, and each state is photographed. `python -m tests.screenshots --readme` makes the two of docs/pictures,
of drawn films alone.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from flows.reading.readers import add_reader
from flows.review.label_import import import_labels_from
from flows.settings import Settings
from tests.browser import Browser, open_browser
from tests.conftest import make_template
from tests.films import FILMS
from tests.flows.reading.robot import read_list, wait_for_film
from tests.flows.reading.served import Served, serve
from tests.flows.reading.test_reveal import wait_for_shade
from tests.flows.scoring.test_scan import scan
from xray_core.records import Label
from xray_core.synthetic.xrays import draw_xray

_SIZES = ((900, 700), (1600, 1000), (3840, 2160))
_COUNT = 8
_README = Path(__file__).parents[1] / "docs" / "pictures"
_README_SIZE = (1280, 800)


def main(folder: Path) -> None:
    """Fill the folder with `STATE-WIDTH.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as room:
        for width, height in _SIZES:
            # A home of its own: what two have read a third is not given.
            settings = make_home(Path(room) / str(width), real=True)
            with open_browser(Path(room) / f"profile{width}") as browser:
                browser.resize(width, height)
                for state in photograph(settings, browser, reader="anna"):
                    time.sleep(0.5)
                    browser.screenshot(folder / f"{state}-{width}.png")


def make_readme_pictures(folder: Path) -> None:
    """A film before the verdict and after it, small enough for the repository."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as room, open_browser(Path(room) / "profile") as browser:
        settings = make_home(Path(room), real=False)
        browser.resize(*_README_SIZE)
        for state in _read(settings, browser, reader="anna"):
            if state in ("reading", "reveal"):
                browser.screenshot(folder / f"{state}.png")
                _shrink(folder / f"{state}.png")


def _shrink(path: Path) -> None:
    """Few colours: mostly greys, and the shade's yellow."""
    image = Image.open(io.BytesIO(path.read_bytes())).convert("RGB")
    image.quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)


def make_home(room: Path, *, real: bool) -> Settings:
    """A home with a champion, a few films that were scored, one that is none, two readers' disputes, and a guide."""
    room.mkdir(exist_ok=True)
    home = make_template(room, None).home
    settings = Settings(home=home, settle_seconds=0)
    settings.incoming_dir.mkdir(exist_ok=True)
    films = sorted((FILMS / "dataset").glob("*/*.*"))[::30][:_COUNT] if real else []
    for path in films:
        shutil.copy(path, settings.incoming_dir)
    if not films:
        _draw_films(settings.incoming_dir)
    (settings.incoming_dir / "report.png").write_bytes(b"%PDF-1.7 not an image")
    (home / "review-guide.md").write_text("# How we read\n\n* Covid only where the pattern is typical.\n", "utf-8")
    scan(settings)
    return settings


def _draw_films(folder: Path) -> None:
    rng = np.random.default_rng(4)
    for number in range(_COUNT):
        label = Label.COVID if number % 2 else Label.NORMAL
        Image.fromarray(draw_xray(rng, label, 1024)).save(folder / f"drawn-{number}.png")


def dispute(settings: Settings) -> None:
    """Two readers who contradict each other on three films."""
    names = sorted(path.name for path in settings.incoming_dir.iterdir() if path.name != "report.png")[:3]
    for reader, label in (("first", "covid"), ("second", "normal")):
        add_reader(settings, reader)
        source = settings.home / f"{reader}.csv"
        rows = [f"{name},{label},{reader},no" for name in names]
        source.write_text("\n".join(("filename,label,labelled_by,score_visible", *rows)))
        import_labels_from(settings, source, mapping={}, accept_contradictions=True)


def photograph(settings: Settings, browser: Browser, *, reader: str) -> Iterator[str]:
    """The name of each state while the browser shows it."""
    with serve(settings, "results") as page:
        yield from _show_results(browser, page)
    yield from _read(settings, browser, reader=reader)
    with serve(settings, "review", "--reader", reader) as page:
        browser.open(page.address)
        yield "empty"
    dispute(settings)
    with serve(settings, "labels", "adjudicate", "--reader", f"third {reader}") as page:
        browser.open(page.address)
        wait_for_film(browser)
        yield "adjudication"
        read_list(browser, lambda _: "n")
        yield "adjudicated"


def _read(settings: Settings, browser: Browser, *, reader: str) -> Iterator[str]:
    with serve(settings, "review", "--reader", reader, "--reveal", "1") as page:
        browser.open(page.address)
        wait_for_film(browser)
        yield "reading"
        yield from _open_panels(browser)
        time.sleep(0.6)
        browser.press("c")
        wait_for_shade(browser)
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


def _show_results(browser: Browser, page: Served) -> Iterator[str]:
    browser.open(page.address)
    yield "results"
    browser.evaluate("document.querySelector('.card a').click()")
    browser.settle()
    yield "result"
    browser.evaluate("location.assign('/results?outcome=refer&reason=UNSUPPORTED_FORMAT')")
    browser.settle()
    yield "results-empty"


def _open_panels(browser: Browser) -> Iterator[str]:
    for key, state in (("?", "help"), ("g", "guide"), ("x", "exclude"), ("f", "note")):
        browser.press(key)
        yield state
        browser.press("Escape")


if __name__ == "__main__":
    if sys.argv[1:] == ["--readme"]:
        make_readme_pictures(_README)
    else:
        main(Path(sys.argv[1]))
