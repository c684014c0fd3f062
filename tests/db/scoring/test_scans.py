from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine, func, select

from db.engine import snapshot, transaction
from db.records import ScanRecord
from db.scoring import scans
from db.scoring.tables import ScanRow
from tests.db.rows import NOW


def scan(engine: Engine, minute: int, *, scored: int = 0, problem: str | None = None) -> None:
    at = NOW + timedelta(minutes=minute)
    with transaction(engine) as session:
        scans.record_scan(
            session,
            started_at=at,
            finished_at=at + timedelta(seconds=1),
            scored=scored,
            rejected=0,
            deferred=0,
            problem=problem,
        )


def rows(engine: Engine) -> int:
    with snapshot(engine) as session:
        return session.scalar(select(func.count()).select_from(ScanRow)) or 0


def last(engine: Engine) -> tuple[ScanRecord | None, ScanRecord | None]:
    with snapshot(engine) as session:
        return scans.last_scan(session), scans.last_good_scan(session)


def test_a_day_of_idle_scans_is_one_row_that_keeps_the_last_time(engine: Engine) -> None:
    for minute in range(30):
        scan(engine, minute)

    newest, good = last(engine)

    assert rows(engine) == 1
    assert newest == good
    assert newest is not None
    assert (newest.scans, newest.finished_at) == (30, NOW + timedelta(minutes=29, seconds=1))


def test_scans_that_did_something_have_a_row_each(engine: Engine) -> None:
    scan(engine, 0, scored=3)
    scan(engine, 1)
    scan(engine, 2, scored=1)
    scan(engine, 3)

    assert rows(engine) == 4


def test_the_last_good_scan_is_not_the_one_that_failed(engine: Engine) -> None:
    scan(engine, 0, scored=3)
    scan(engine, 1, problem="LowDisk")
    scan(engine, 2, problem="LowDisk")
    scan(engine, 3, problem="NoChampion")

    newest, good = last(engine)

    assert newest is not None
    assert good is not None
    assert (newest.problem, good.scored, rows(engine)) == ("NoChampion", 3, 3)


def test_before_the_first_scan_there_is_none(engine: Engine) -> None:
    assert last(engine) == (None, None)
