"""What a reader sees on the screen of a real browser: every grey level of a film, by windowing."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from flows.settings import Settings
from tests.browser import Browser, open_browser
from tests.dicom_files import dicom
from tests.flows.reading.served import serve
from tests.flows.scoring.test_scan import scan

pytestmark = pytest.mark.processes

_CELL, _CELLS = 8, 64

# Levels of the screen in the middle of each cell of the ramp that a window shows; windows overlap by half.
_TELL_APART = """
(async () => {
  const name = document.body.dataset.name, cells = 64, cell = 8;
  const film = await Xray.films.get(name);
  const screen = document.getElementById("screen"), context = screen.getContext("2d", { willReadFrequently: true });
  const scale = Math.min(screen.width / film.width, screen.height / film.height);
  const left = (screen.width - film.width * scale) / 2, top = (screen.height - film.height * scale) / 2;
  const apart = new Set();
  for (let low = 0; low < 4095; low += 127) {
    const own = film.high - film.low;
    await Xray.viewer.setShares((low - film.low) / own, (low + 255 - film.low) / own);
    const data = context.getImageData(0, 0, screen.width, screen.height).data;
    const level = (value) => {
      const x = Math.round(left + ((value % cells) + 0.5) * cell * scale);
      const y = Math.round(top + (Math.floor(value / cells) + 0.5) * cell * scale);
      return data[4 * (y * screen.width + x)];
    };
    for (let value = low; value < Math.min(low + 255, 4095); value += 1) {
      if (level(value + 1) > level(value)) apart.add(value);
    }
  }
  return apart.size;
})()
"""


def ramp() -> bytes:
    """A DICOM film of 12 bits with each of its 4,096 levels in a cell of its own, in order."""
    levels = np.arange(_CELLS**2, dtype=np.uint16).reshape(_CELLS, _CELLS)
    return dicom(np.kron(levels, np.ones((_CELL, _CELL), np.uint16)))


def test_all_4096_levels_of_a_film_of_12_bits_can_be_told_apart(settings: Settings, tmp_path: Path) -> None:
    (settings.incoming_dir / "ramp.dcm").write_bytes(ramp())
    scan(settings)
    with serve(settings, "results") as page, open_browser(tmp_path / "profile") as browser:
        browser.resize(1600, 1000)
        browser.open(page.address)
        browser.open(_first_film(browser))
        assert browser.evaluate(_TELL_APART) == 4095  # each from the next


def _first_film(browser: Browser) -> str:
    (address,) = re.findall(r"http\S+/results/\d+", str(browser.evaluate("document.querySelector('.card a').href")))
    return str(address)
