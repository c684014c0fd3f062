"""The card on paper, on a phone and in the dark: page one is whole, no picture is cut, nothing scrolls sideways."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.browser import Browser, open_browser
from tests.xray_core.report.test_card import FULL
from xray_core.report.card import write_card
from xray_core.report.curves import plot_roc
from xray_core.report.markdown import TEMPLATES

pytestmark = [pytest.mark.processes, pytest.mark.lengthy]

# Width and height in inches; the margins of page.css are 13 and 14 mm.
PAPERS = {"A4": (8.27, 11.69), "Letter": (8.5, 11.0)}
MARGINS = (2 * 13 / 25.4, 2 * 14 / 25.4)
CSS_PIXELS = 96

# Least contrast of text with what lies behind it (WCAG 2.2, 1.4.3: 4.5, and 3 for large text).
CONTRAST = """(() => {
  const parse = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = (c) => c.slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, place) => sum + v * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (e) => { for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] > 0) return c; }
    return [255, 255, 255]; };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let least = [99, ""];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.data.trim()) continue;
    const [a, b] = [light(parse(getComputedStyle(node.parentElement).color)), light(behind(node.parentElement))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least[0]) least = [ratio, node.data.trim().slice(0, 40)];
  }
  return least;
})()"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A card with everything on it, each plot a different picture."""
    folder = tmp_path_factory.mktemp("card")
    named = re.findall(r'plot\("([a-z_]+\.png)"', (TEMPLATES / "card.md.j2").read_text())
    plots = {
        name: plot_roc([(0, 0), (0.1, place / 20), (1, 1)], auroc=None, n=name) for place, name in enumerate(named)
    }
    (folder / "card.html").write_text(write_card(replace(FULL, plots=plots))[1])
    with open_browser(folder / "profile") as browser:
        browser.open((folder / "card.html").as_uri())
        yield browser


def list_pictures(pdf: bytes) -> list[list[str]]:
    """The pictures of each page by the number of their object."""
    pages = re.findall(rb"<</Type /Page\n.*?endobj", pdf, re.DOTALL)
    return [[name.decode() for name in re.findall(rb"/X(\d+) \1 0 R", page)] for page in pages]


@pytest.mark.parametrize("paper", PAPERS)
def test_the_first_page_holds_the_summary_and_no_picture_is_cut(shown: Browser, paper: str) -> None:
    width, height = PAPERS[paper]
    inside = [CSS_PIXELS * (size - margin) for size, margin in zip(PAPERS[paper], MARGINS, strict=True)]
    shown.prefer(medium="print")
    shown.resize(round(inside[0]), round(inside[1]))
    summary = shown.evaluate("document.querySelector('header').getBoundingClientRect().height")
    overflow = shown.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    pages = list_pictures(shown.print_pdf(width, height))

    assert summary <= inside[1]
    assert overflow <= 0
    assert pages[0] == []
    found = Counter(name for page in pages for name in set(page))
    assert len(found) == shown.evaluate("document.images.length") > 8
    assert set(found.values()) == {1}, "a picture that is cut stands on two pages"
    assert len(pages) <= 14


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 375, 900, 1600])
def test_nothing_scrolls_sideways_and_every_word_can_be_read(shown: Browser, width: int, scheme: str) -> None:
    shown.prefer(scheme=scheme)
    shown.resize(width, 800)

    overflow: Any = shown.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    least, words = shown.evaluate(CONTRAST)

    assert overflow <= 0
    assert least >= 4.5, words


def test_the_dark_page_is_dark(shown: Browser) -> None:
    shown.prefer(scheme="dark")

    red, green, blue = map(int, re.findall(r"\d+", shown.evaluate("getComputedStyle(document.body).backgroundColor")))

    assert max(red, green, blue) < 60
