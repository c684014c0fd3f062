"""Revision 0010: hashes as bytes and times as numbers; every fact stays, and what was altered before is found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError

from db.audit import AuditRow
from db.engine import open_engine, snapshot, writing
from db.growth import give_back, measure_growth
from db.invariants import find_breaches
from db.migrate import migrate
from db.scoring.tables import IncomingFileRow, PatientFactRow, ResultRow, ScanRow, SplitMemberRow, XrayRow
from db.transfer import transfer
from tests.db.rows import ANCHOR, NOW, add_champion, score_files, sha256_of
from tests.db.test_audit import tamper
from tests.db.test_upgrade_to_0003 import HOME
from tests.db.upgrades import kill_upgrades, load_sealed, read, sealing_as_text, upgrade

SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
NAMES = "SELECT type, name, tbl_name FROM sqlite_master ORDER BY name"
LATER = NOW + timedelta(microseconds=123456)
RUN = "0a2b9e34-5f0c-4a52-9d6b-3f1f6a1b2c3d"


@pytest.fixture
def old(empty_url: str, sqlite_only: None) -> Iterator[Engine]:
    """A SQLite ledger of revision 0009 as its version wrote and sealed it."""
    engine = open_engine(empty_url, anchor=ANCHOR)
    load_sealed(engine, "0009")
    yield engine
    engine.dispose()


def list_breaches(engine: Engine) -> list[str]:
    with snapshot(engine) as session:
        return list(find_breaches(session))


def test_every_fact_of_before_reads_as_it_did(old: Engine) -> None:
    migrate(old)

    with snapshot(old) as session:
        xrays, results = (session.scalars(select(row).order_by(row.id)).all() for row in (XrayRow, ResultRow))
        files = session.scalars(select(IncomingFileRow).order_by(IncomingFileRow.id)).all()
        facts = session.scalars(select(PatientFactRow).order_by(PatientFactRow.id)).all()
        sides = session.scalars(select(SplitMemberRow).order_by(SplitMemberRow.split)).all()
        (scan,) = session.scalars(select(ScanRow))
        first = session.get_one(AuditRow, 2)

    decided = LATER + timedelta(seconds=1)
    assert [(row.sha256, row.dhash, row.first_seen_at) for row in xrays] == [
        (sha256_of("A"), "0f" * 8, decided),
        (sha256_of("B"), "0f" * 8, decided),
    ]
    assert [(row.flow_run_id, row.scored_at, row.probability, row.study) for row in results] == [
        (RUN, decided, 0.9, None),
        (RUN, decided, 0.2, None),
    ]
    assert [(row.name, row.refused_sha256, row.first_seen_at, row.decided_at, row.retry_at) for row in files] == [
        ("a.png", None, LATER, decided, None),
        ("b.png", None, LATER, decided, None),
        ("c.png", sha256_of("C"), LATER, decided, None),
        ("d.png", None, LATER, decided, LATER + timedelta(seconds=30)),
    ]
    assert [(row.sha256, row.name, row.recorded_at) for row in facts] == [
        (sha256_of("A"), None, LATER),
        (None, "e.png", LATER),
        (sha256_of("A"), None, decided),
    ]
    assert [row.split_group for row in sides] == [f"content:{sha256_of('B')}", "pppp"]
    assert (scan.started_at, scan.finished_at) == (LATER, LATER + timedelta(seconds=2))
    assert (first.at, first.action) == (NOW, "model-added")


def test_hashes_and_runs_are_bytes_afterwards_and_times_are_numbers(old: Engine) -> None:
    migrate(old)

    assert read(old, "SELECT DISTINCT typeof(sha256), length(sha256), typeof(dhash), typeof(first_seen_at) FROM xrays")[
        0
    ] == ("blob", 32, "blob", "integer")
    assert read(old, "SELECT DISTINCT typeof(flow_run_id), length(flow_run_id), typeof(scored_at) FROM results") == [
        ("blob", 16, "integer")
    ]
    declared = read(old, "SELECT count(*) FROM sqlite_master WHERE sql LIKE '%DATETIME%'")
    assert declared == [(0,)]


def test_tables_indexes_triggers_and_the_view_are_all_there_and_history_is_still_refused_a_change(old: Engine) -> None:
    before = read(old, NAMES)

    migrate(old)

    assert read(old, NAMES) == before
    assert list_breaches(old) == []
    for change in ("UPDATE results SET study = NULL", "DELETE FROM labels", "DELETE FROM models"):
        with pytest.raises(DBAPIError, match=r"append-only|never deleted"), writing(old).begin() as connection:
            connection.exec_driver_sql(change)
    with pytest.raises(DBAPIError, match="FOREIGN KEY"), writing(old).begin() as connection:
        connection.exec_driver_sql("DELETE FROM xrays")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE xrays SET patient = 'qqqq' WHERE id = 1", "xrays 1 to 2: changed since they were written"),
        ("UPDATE incoming_files SET decided_at = first_seen_at WHERE id = 1", "incoming_files 1 to 4: changed since"),
        ("UPDATE results SET flow_run_id = upper(flow_run_id)", "results 1 to 2: changed since they were written"),
        ("DELETE FROM audit_log WHERE position = 2", "audit log, position 2: missing, altered"),
    ],
)
def test_no_upgrade_seals_what_was_altered_before_it(old: Engine, change: str, told: str) -> None:
    tamper(old, change)

    migrate(old)

    assert any(told in breach for breach in list_breaches(old)), list_breaches(old)


def test_what_is_no_time_or_hash_stays_as_it_was_and_is_told_of(old: Engine) -> None:
    tamper(old, "UPDATE incoming_files SET decided_at = 'last year', refused_sha256 = 'none' WHERE id = 3")

    migrate(old)

    assert read(old, "SELECT decided_at, refused_sha256 FROM incoming_files WHERE id = 3") == [("last year", "none")]
    assert any("incoming_files 1 to 4: changed since" in breach for breach in list_breaches(old))


def test_a_postgresql_ledger_of_before_holds_by_the_form_in_which_it_was_sealed(empty_url: str) -> None:
    engine = open_engine(empty_url, anchor=ANCHOR)
    if engine.dialect.name == "sqlite":
        pytest.skip("about PostgreSQL, where no row changes")
    upgrade(engine, "0009", HOME)
    with sealing_as_text():
        score_files(engine, add_champion(engine), {"a.png": "A", "b.png": "B"})

    migrate(engine)

    assert list_breaches(engine) == []
    engine.dispose()


def test_a_ledger_goes_to_postgresql_and_back_and_its_seals_hold(empty_url: str, tmp_path: Path) -> None:
    there = open_engine(empty_url, anchor=ANCHOR)
    if there.dialect.name == "sqlite":
        pytest.skip("from SQLite to PostgreSQL")
    here, back = (open_engine(f"sqlite:///{tmp_path / name}", anchor=ANCHOR) for name in ("here.db", "back.db"))
    load_sealed(here, "0009")
    migrate(here)

    transfer(here, there, {})
    transfer(there, back, {})

    assert list_breaches(there) == list_breaches(back) == []
    for table in ("xrays", "results", "incoming_files", "patient_facts", "audit_log"):
        rows = f"SELECT * FROM {table} ORDER BY 1"  # noqa: S608  # our own tables
        assert read(back, rows) == read(here, rows)
    for engine in (here, there, back):
        engine.dispose()


def test_the_pages_that_the_upgrade_leaves_free_are_given_back_when_that_is_asked_for(old: Engine) -> None:
    migrate(old)
    with snapshot(old) as session:
        before = measure_growth(session)

    assert before.is_sparse
    assert give_back(old)
    assert not give_back(old)

    with snapshot(old) as session:
        after = measure_growth(session)
    assert (after.free, after.is_sparse, after.results) == (0, False, before.results)
    assert after.size <= before.size - before.free
    assert list_breaches(old) == []


@pytest.mark.processes
@pytest.mark.slow
def test_a_kill_before_any_of_its_statements_leaves_the_old_database(old: Engine) -> None:
    rows = "SELECT * FROM xrays ORDER BY id"

    killed = kill_upgrades(old, "0010", lambda: [read(old, query) for query in (SCHEMA, rows)], home=HOME)

    assert killed >= 60


@pytest.mark.processes
def test_a_kill_half_way_leaves_the_old_database(old: Engine) -> None:
    rows = "SELECT * FROM results ORDER BY id"

    killed = kill_upgrades(old, "0010", lambda: [read(old, query) for query in (SCHEMA, rows)], home=HOME, step=40)

    assert killed >= 2
