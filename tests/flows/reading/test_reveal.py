"""After the verdict, and never before it: the score, and where the network looked, in a real browser."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from flows.settings import Settings
from tests.browser import Browser, open_browser
from tests.flows.reading.robot import read_list, wait_for_film
from tests.flows.reading.served import serve
from tests.flows.reading.test_reading import find_list, read_said
from tests.flows.scoring.test_scan import drop_xrays, scan
from tests.patience import here

pytestmark = pytest.mark.processes

# How many pixels of the screen are coloured: a film is grey, a shade is yellow.
_COLOURED = """
(() => {
  const screen = document.getElementById("screen");
  const data = screen.getContext("2d").getImageData(0, 0, screen.width, screen.height).data;
  let coloured = 0;
  for (let place = 0; place < data.length; place += 4) coloured += data[place] - data[place + 2] > 40 ? 1 : 0;
  return coloured;
})()
"""


def wait_for_shade(browser: Browser) -> None:
    deadline = time.monotonic() + here(90)
    while "being drawn" in (text := browser.text()) or "What the service said" not in text:
        assert time.monotonic() < deadline, text
        time.sleep(0.2)


def test_score_and_heat_map_come_after_the_verdict_with_the_sentence_that_they_prove_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    drop_xrays(settings.incoming_dir, 3)
    scan(settings)
    shaded = 0
    with (
        serve(settings, "review", "--reader", "anna", "--reveal", "1") as page,
        open_browser(tmp_path / "profile") as browser,
    ):
        reader_list = find_list(settings, page)
        cookie = page.enter()
        assert page.ask("/reveals/1", Cookie=cookie).status == 404  # before the verdict there is nothing
        browser.open(page.invite())
        for film in ("1", "2", "3"):
            wait_for_film(browser, str(int(film) - 1))
            assert browser.evaluate(_COLOURED) == 0
            assert "What the service said" not in browser.text()
            time.sleep(0.6)
            browser.press("c")
            wait_for_shade(browser)
            text = browser.text()
            assert "P(covid)" in text
            coloured = browser.evaluate(f"Xray.viewer.redraw().then(() => {_COLOURED})")
            if "spoke for covid to the network" not in text:
                assert "It is no proof" in text
                assert coloured > 100
                browser.press("h")
                assert browser.evaluate(f"Xray.viewer.redraw().then(() => {_COLOURED})") == 0
                shaded += 1
            assert page.ask(f"/reveals/{film}", Cookie=cookie).status == 200
            browser.press("Enter")
        read_list(browser, lambda _: "c")
        # Chromium advises on speed where a test reads pixels back.
        assert [words for words in browser.complaints if not words.startswith("Canvas2D")] == []
    assert shaded
    assert read_said(settings, reader_list) == dict.fromkeys((1, 2, 3), ("covid", True))
