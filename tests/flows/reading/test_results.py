"""The results page shows films, outcomes and why to everybody, names nobody, and changes nothing."""

from __future__ import annotations

import io
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import select

from db.engine import snapshot
from db.reading import lists
from db.scoring.tables import LabelRow
from flows.home.ledger import open_ledger
from flows.reading.lists import make_list
from flows.reading.readers import add_reader
from flows.review.given_verdicts import GivenVerdict, save_given
from flows.settings import Settings
from tests.browser import open_browser
from tests.flows.reading.conftest import PATIENT, today
from tests.flows.reading.robot import read_film
from tests.flows.reading.served import Served, serve
from tests.flows.scoring.test_scan import drop_xrays, scan
from tests.patience import here
from xray_core.records import RESEARCH_USE, Label

pytestmark = pytest.mark.processes


def _read(page: Served, path: str) -> str:
    answer = page.ask(path, Cookie=page.enter())
    assert answer.status == 200, answer.body
    return answer.body.decode()


def _count_cards(text: str) -> int:
    return text.count('<li class="card">')


def test_every_decided_file_is_shown_with_its_outcome_or_why_there_is_none(results_page: Served) -> None:
    text = _read(results_page, "/results")
    assert _count_cards(text) == 6
    assert "UNSUPPORTED_FORMAT" in text
    assert RESEARCH_USE in text
    assert "UNPROVEN" in text


def test_what_is_referred_says_why(results_page: Served) -> None:
    cards = _read(results_page, "/results").split('<li class="card">')[1:]
    referred = [card for card in cards if "</span>refer" in card]
    assert all("its score lies between the two thresholds" in card or "<p>it " in card for card in referred)
    assert not [card for card in cards if card not in referred and "thresholds" in card]


def test_filters_leave_what_fits(results_page: Served) -> None:
    whole = _read(results_page, "/results")
    positives = len(re.findall(r"</span>positive", whole))
    assert _count_cards(_read(results_page, "/results?outcome=positive")) == positives
    assert _count_cards(_read(results_page, "/results?outcome=not+scored")) == 1
    assert _count_cards(_read(results_page, "/results?reason=UNSUPPORTED_FORMAT")) == 1
    assert _count_cards(_read(results_page, f"/results?day={today()}")) == 6
    assert _count_cards(_read(results_page, "/results?outcome=refer&reason=UNSUPPORTED_FORMAT")) == 0


def test_a_filter_that_is_none_changes_nothing(results_page: Served) -> None:
    for query in ("outcome=wrong", "reason='; DROP TABLE xrays", "day=yesterday", "page=-1", "page=x"):
        assert _count_cards(_read(results_page, f"/results?{query.replace(' ', '%20')}")) == 6


def test_no_name_of_a_person_or_file_is_in_any_answer(results_page: Served) -> None:
    cookie = results_page.enter()
    text = _read(results_page, "/results")
    films = re.findall(r'href="/results/(\d+)"', text)
    paths = [path for film in films for path in (f"/results/{film}", f"/results/films/{film}.js")]
    received = text.encode() + b"".join(results_page.ask(path, Cookie=cookie).body for path in paths)
    assert len(films) == 5
    for name in (b"Nguyen", b"1961", PATIENT.encode(), b"film.dcm", b"report", b"incoming"):
        assert name not in received


def test_a_film_has_a_thumbnail_and_a_page(results_page: Served) -> None:
    cookie = results_page.enter()
    film = re.findall(r'href="/results/(\d+)"', _read(results_page, "/results"))[0]
    thumbnail = results_page.ask(f"/results/thumbnails/{film}.png", Cookie=cookie)
    assert Image.open(io.BytesIO(thumbnail.body)).size[0] <= 320
    assert results_page.ask(f"/results/films/{film}.js", Cookie=cookie).body.startswith(b"Xray.film(")
    for path in ("/results/999", "/results/films/999.js", "/results/thumbnails/999.png"):
        assert results_page.ask(path, Cookie=cookie).status == 404


def test_nothing_can_be_changed_there(results_page: Served) -> None:
    cookie = results_page.enter()
    origin = {"Origin": f"http://127.0.0.1:{results_page.port}", "Cookie": cookie}
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert results_page.ask("/results", method=method, body="{}", **origin).status == 405


def test_a_real_browser_shows_them_and_asks_nobody_else(results_page: Served, tmp_path: Path) -> None:
    address = results_page.invite()
    with open_browser(tmp_path) as browser:
        browser.resize(1600, 1400)
        browser.open(address)
        loaded = "Promise.all([...document.images].map((image) => image.decode().then(() => image.naturalWidth > 0)))"
        assert browser.evaluate(loaded) == [True] * 5
        browser.evaluate("document.querySelector('a[href^=\"/results/\"]').click()")
        browser.settle()
        deadline = time.monotonic() + here(30)
        while not browser.evaluate("document.getElementById('loading').hidden"):
            assert time.monotonic() < deadline, browser.text()
        lit = "(() => { const screen = document.getElementById('screen'); const data = screen.getContext('2d')"
        lit += ".getImageData(0, 0, screen.width, screen.height).data; return data.some((v, i) => i % 4 < 3 && v > 60)"
        assert browser.evaluate(f"{lit}; }})()")
        assert browser.foreign_requests(address) == []
        assert browser.complaints == []


def test_a_film_is_in_no_result_before_its_readers_own_verdict(settings: Settings, tmp_path: Path) -> None:
    """Neither on the reader's own page nor on that of everybody else: what one sees another is told."""
    drop_xrays(settings.incoming_dir, 3)
    scan(settings)
    with serve(settings, "review", "--reader", "anna", "--reveal", "0") as page, serve(settings, "results") as others:
        assert _count_cards(_read(page, "/results")) == 0
        assert "3 films on open reading lists" in _read(others, "/results")
        cookie = others.enter()
        for path in ("/results/1", "/results/films/1.js", "/results/thumbnails/1.png"):
            assert others.ask(path, Cookie=cookie).status == 404
        with open_browser(tmp_path / "profile") as browser:
            browser.open(page.invite())
            for shown in (0, 0, 3):  # until the last film of the list every verdict can be changed
                read_film(browser, "c")
                assert _count_cards(_read(page, "/results")) == shown
                assert _count_cards(_read(others, "/results")) == shown


def test_a_verdict_that_is_changed_once_the_results_are_open_counts_as_seen(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 2)
    scan(settings)
    add_reader(settings, "anna")
    with open_ledger(settings) as engine:
        list_id = make_list(settings, engine, "anna", size=2, reveal_share=0)
        assert list_id is not None
        with snapshot(engine) as session:
            items = lists.items_of(session, list_id)
        for number, position in enumerate((1, 1, 2, 1)):
            save_given(engine, items[position - 1], give(list_id, position, number))
        with snapshot(engine) as session:
            seen = session.scalars(select(LabelRow.score_visible).order_by(LabelRow.id)).all()
    assert seen == [False, False, False, True]


def give(list_id: int, position: int, number: int) -> GivenVerdict:
    return GivenVerdict(
        list=list_id,
        request_id=f"{number:032x}",
        position=position,
        label=Label.COVID,
        sure=True,
        exclude_reason=None,
        flagged_note=None,
        shown_at=datetime.now(UTC),
        seconds=1,
        prior_used=False,
    )
