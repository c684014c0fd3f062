"""A claim lives as long as the work: what a scanner holds is renewed, what it let go or lost is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from sqlalchemy import Engine, select

from db.engine import open_engine, snapshot
from db.scoring.tables import IncomingFileRow
from flows.home.ledger import find_anchor
from flows.scoring.lease import Lease
from flows.settings import Settings
from tests.db.rows import claim

SHORT = 0.2


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    opened = open_engine(settings.url, anchor=find_anchor(settings))
    yield opened
    opened.dispose()


@pytest.fixture
def lease(engine: Engine) -> Iterator[Lease]:
    held = Lease(engine, "mine", SHORT)
    yield held
    held.end()


def until(engine: Engine, name: str) -> datetime | None:
    with snapshot(engine) as session:
        return session.scalar(select(IncomingFileRow.claimed_until).where(IncomingFileRow.name == name))


def wait_for(happened: Callable[[], bool]) -> None:
    while not happened():  # pytest's own limit ends it
        time.sleep(0.02)


def test_what_a_scanner_holds_is_renewed_again_and_again_and_what_it_let_go_is_not(
    engine: Engine, lease: Lease
) -> None:
    kept, done = claim(engine, "kept.png", "done.png", scanner="mine")
    at_first = until(engine, "kept.png")

    lease.hold([kept.file_id, done.file_id])
    wait_for(lambda: until(engine, "done.png") != at_first)
    lease.let_go([done.file_id])
    wait_for(lambda: until(engine, "kept.png") != until(engine, "done.png"))
    last_of_done, later = until(engine, "done.png"), until(engine, "kept.png")
    wait_for(lambda: until(engine, "kept.png") != later)

    assert until(engine, "done.png") == last_of_done


def test_a_file_that_another_scanner_has_taken_over_is_not_renewed_for_it(engine: Engine, lease: Lease) -> None:
    (lost,) = claim(engine, "lost.png", scanner="theirs")
    (mine,) = claim(engine, "mine.png", scanner="mine")
    theirs, before = until(engine, "lost.png"), until(engine, "mine.png")

    lease.hold([lost.file_id, mine.file_id])
    wait_for(lambda: until(engine, "mine.png") != before)

    assert until(engine, "lost.png") == theirs


def test_after_its_end_a_lease_renews_nothing(engine: Engine, lease: Lease) -> None:
    (file,) = claim(engine, "a.png", scanner="mine")
    before = until(engine, "a.png")
    lease.hold([file.file_id])
    wait_for(lambda: until(engine, "a.png") != before)

    lease.end()
    last = until(engine, "a.png")
    time.sleep(3 * SHORT)

    assert until(engine, "a.png") == last
