"""Films are read blind in a real browser: every key is one verdict, none is lost and none is doubled."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import select

from db.engine import open_engine, snapshot
from db.reading import lists
from db.scoring.tables import ResultRow
from flows.settings import Settings
from tests.browser import open_browser
from tests.flows.reading.conftest import PATIENT
from tests.flows.reading.robot import current, read_film, read_list, wait_for_film
from tests.flows.reading.served import Served, serve
from tests.flows.scoring.test_scan import drop_xrays, scan

pytestmark = pytest.mark.processes

_KEYS: tuple[Sequence[str], ...] = ("c", "n", "o", "u", "C", "N", ("x", "2"))
_SAID = (
    ("covid", True),
    ("normal", True),
    ("other", True),
    ("unsure", True),
    ("covid", False),
    ("normal", False),
    ("exclude", True),
)


def script_of(position: int, shift: int = 0) -> int:
    """Which of the keys a reader presses on a film; another reader's differ by a shift."""
    return (position + shift) % len(_KEYS)


def read_said(settings: Settings, reader_list: int) -> dict[int, tuple[str, bool]]:
    """What the ledger has of a list, by position."""
    with snapshot(open_engine(settings.url)) as session:
        return {
            item.position: (item.label.value, bool(item.sure))
            for item in lists.items_of(session, reader_list)
            if item.label is not None
        }


def find_list(settings: Settings, page: Served) -> int:
    """The number of the list that a page shows."""
    script = page.ask("/list.js", Cookie=page.enter()).body.decode()
    return int(json.loads(script[script.index("(") + 1 : script.rindex(")")])["list"])


def test_each_key_is_one_verdict_in_the_ledger(settings: Settings, tmp_path: Path) -> None:
    drop_xrays(settings.incoming_dir, 10)
    scan(settings)
    for reader, shift in (("anna", 0), ("ben", 1)):
        with serve(settings, "review", "--reader", reader) as page:
            reader_list = find_list(settings, page)
            with open_browser(tmp_path / reader) as browser:
                browser.open(page.invite())
                read_list(browser, lambda film, shift=shift: _KEYS[script_of(film, shift)])  # type: ignore[misc]
                assert browser.foreign_requests(page.address) == []
                assert browser.complaints == []
        said = read_said(settings, reader_list)
        assert said == {position: _SAID[script_of(position, shift)] for position in range(1, 11)}


def test_a_key_in_the_first_half_second_of_a_film_is_no_verdict(settings: Settings, tmp_path: Path) -> None:
    drop_xrays(settings.incoming_dir, 2)
    scan(settings)
    with serve(settings, "review", "--reader", "anna") as page, open_browser(tmp_path / "profile") as browser:
        browser.open(page.invite())
        wait_for_film(browser)
        following = read_film(browser, "c")
        browser.press("n")
        time.sleep(0.3)
        assert current(browser) == following
        assert len(read_said(settings, find_list(settings, page))) == 1


def test_going_back_changes_a_verdict_and_a_note_goes_along(settings: Settings, tmp_path: Path) -> None:
    drop_xrays(settings.incoming_dir, 3)
    scan(settings)
    with serve(settings, "review", "--reader", "anna", "--reveal", "0") as page, open_browser(tmp_path) as browser:
        browser.open(page.invite())
        read_film(browser, "c")
        browser.press("z")
        wait_for_film(browser, "2")
        assert "your verdict: covid" in browser.text()
        assert read_film(browser, "n") == "2"
        assert read_said(settings, find_list(settings, page)) == {1: ("normal", True)}


def test_no_byte_before_the_verdict_tells_what_a_film_is(settings: Settings, tmp_path: Path) -> None:
    """Searched in every answer that a browser gets while it reads, and in the folder."""
    from tests.flows.reading.conftest import fill

    fill(settings)
    with serve(settings, "review", "--reader", "anna", "--reveal", "0") as page:
        cookie = page.enter()
        count = len(read_secrets(settings))
        paths = ["/", "/list.js", *(f"/films/{number}.js" for number in range(1, count + 1))]
        received = {path: page.ask(path, Cookie=cookie) for path in paths}
    assert all(answer.status == 200 for answer in received.values())
    texts = {path: answer.body + repr(answer.headers).encode() for path, answer in received.items()}
    assert_blind(texts, read_secrets(settings))


def read_secrets(settings: Settings) -> list[bytes]:
    """Each X-ray's probability, as it might be written."""
    with snapshot(open_engine(settings.url)) as session:
        return [f"{score:.4f}".encode() for score in session.scalars(select(ResultRow.probability))]


def assert_blind(texts: dict[str, bytes], secrets: list[bytes]) -> None:
    names = [
        PATIENT.encode(),
        b"Nguyen",
        b"1961",
        b"incoming",
        b"film.dcm",
        b"0001-untrained",
        b"positive",
        b"negative",
    ]
    for path, text in texts.items():
        shown = text if path.endswith(("/", "list.js", ".html")) else text[:200]  # the rest of a film is its pixels
        for secret in (*names, *secrets, b"probability", b"outcome", b"champion", b"reason_code"):
            assert secret not in shown or path in ("/", "review.html"), (path, secret)


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_no_kill_of_server_or_browser_loses_or_doubles_a_verdict(
    settings: Settings, tmp_path: Path, kills: int
) -> None:
    """By turns the server and the browser are killed in the middle of saving; both come back and go on."""
    drop_xrays(settings.incoming_dir, max(6, min(50, kills)))
    scan(settings)
    for kill in range(kills):
        with serve(settings, "review", "--reader", "anna", "--reveal", "0") as page:
            reader_list = find_list(settings, page)
            with open_browser(tmp_path / f"profile{kill}") as browser:
                browser.open(page.invite())
                film = wait_for_film(browser)
                if film == "done":
                    break
                time.sleep(0.6)
                browser.press("c")
                if kill % 2:
                    time.sleep(0.001 * kill)
                    continue  # the browser dies here, with or without an answer
                os.kill(page.process.pid, signal.SIGKILL)
                page.process.wait()
                with serve(settings, "review", "--reader", "anna", "--reveal", "0"):
                    assert wait_for_film(browser, film) != film
    with (
        serve(settings, "review", "--reader", "anna", "--reveal", "0") as page,
        open_browser(tmp_path / "last") as last,
    ):
        last.open(page.invite())
        read_list(last, lambda _: "c")
    count = max(6, min(50, kills))
    assert read_said(settings, reader_list) == dict.fromkeys(range(1, count + 1), ("covid", True))
