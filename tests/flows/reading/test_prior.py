"""An earlier film of the same patient beside the one that is read: who looked at it, is recorded."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import select

from db.engine import open_engine, snapshot
from db.scoring.tables import LabelRow
from flows.settings import Settings
from tests.browser import Browser, open_browser
from tests.dicom_files import dicom, stored_film
from tests.flows.reading.robot import read_film, wait_for_film
from tests.flows.reading.served import serve
from tests.flows.scoring.test_scan import scan
from tests.patience import here

pytestmark = pytest.mark.processes

# Whether the right half of the screen, where the earlier film stands, shows anything.
_IS_RIGHT_LIT = """
(() => {
  const screen = document.getElementById("screen"), half = Math.floor(screen.width / 2);
  const data = screen.getContext("2d").getImageData(half + 1, 0, half - 1, screen.height).data;
  let lit = 0;
  for (let place = 0; place < data.length; place += 4) lit += data[place] > 40 ? 1 : 0;
  return lit / (data.length / 4) > 0.05;
})()
"""


def test_a_prior_film_is_seen_on_demand_and_that_is_recorded(settings: Settings, tmp_path: Path) -> None:
    """One patient comes twice, another once: the first film of each has no prior."""
    for number, patient in enumerate(("A", "A", "B")):
        (settings.incoming_dir / f"{number}.dcm").write_bytes(dicom(stored_film() + number, PatientID=patient))
        scan(settings)  # one after another: an earlier film has come earlier
    with (
        serve(settings, "review", "--reader", "anna", "--reveal", "0") as page,
        open_browser(tmp_path / "profile") as browser,
    ):
        browser.resize(1600, 900)
        browser.open(page.invite())
        with_prior = browser.evaluate("Xray.list.priors")
        assert len(with_prior) == 1
        for _ in range(3):
            film = int(wait_for_film(browser))
            browser.press("p")
            if film in with_prior:
                assert_beside(browser)
            else:
                assert "No earlier film of this patient is known" in browser.text()
            read_film(browser, "n")
            assert browser.evaluate("document.body.classList.contains('comparing')") is False
    with snapshot(open_engine(settings.url)) as session:
        used = session.scalars(select(LabelRow.prior_used).order_by(LabelRow.id)).all()
    assert sorted(map(bool, used)) == [False, False, True]


def assert_beside(browser: Browser) -> None:
    deadline = time.monotonic() + here(20)
    while not browser.evaluate(f"Xray.viewer.redraw().then(() => {_IS_RIGHT_LIT})"):
        assert time.monotonic() < deadline, browser.text()
        time.sleep(0.1)
