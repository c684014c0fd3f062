"""Revision 0007: lists that are there were for reading, and stay as they were; whole whenever it is killed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from db.engine import open_engine, snapshot, writing
from db.invariants import find_breaches
from db.migrate import migrate
from tests.db.rows import ANCHOR
from tests.db.test_audit import tamper
from tests.db.test_upgrade_to_0003 import HOME
from tests.db.upgrades import kill_upgrades, load_sealed, read, upgrade

OLD = "SELECT id, reader_id, seed, reveal_share, guide_sha256, made_at FROM reading_lists ORDER BY id"
SCHEMA = "SELECT name, sql FROM sqlite_master ORDER BY name"
LIST = "INSERT INTO reading_lists (reader_id, seed, reveal_share, made_at) VALUES (1, 7, 0.2, '2026-01-02')"


@pytest.fixture
def old(empty_url: str) -> Iterator[Engine]:
    """A database of revision 0005 with a reader's list."""
    engine = open_engine(empty_url)
    upgrade(engine, "0005", HOME)
    with writing(engine).begin() as connection:
        connection.execute(text("INSERT INTO readers (name, folded, added_at) VALUES ('A', 'a', '2026-01-01')"))
        connection.execute(text(LIST))
    yield engine
    engine.dispose()


def test_a_list_of_before_is_for_reading_and_no_other_purpose_is_taken_than_those_there_are(old: Engine) -> None:
    before = read(old, OLD)

    upgrade(old, "0007", HOME)

    assert read(old, OLD) == before
    assert read(old, "SELECT purpose FROM reading_lists") == [("reading",)]
    with pytest.raises(DBAPIError), writing(old).begin() as connection:
        connection.execute(text(LIST.replace("made_at)", "made_at, purpose)").replace("02')", "02', 'fun')")))
    with pytest.raises(DBAPIError, match=r"append-only|refuses"), writing(old).begin() as connection:
        connection.execute(text("UPDATE reading_lists SET purpose = 'again'"))


@pytest.fixture
def sealed(empty_url: str, sqlite_only: None) -> Iterator[Engine]:
    """A database of revision 0005 whose results were sealed as they were written, by the version of that day."""
    engine = open_engine(empty_url, anchor=ANCHOR)
    load_sealed(engine, "0005")
    yield engine
    engine.dispose()


def find_all_breaches(engine: Engine) -> list[str]:
    with snapshot(engine) as session:
        return list(find_breaches(session))


def test_what_was_sealed_before_still_holds_after_the_upgrade(sealed: Engine) -> None:
    migrate(sealed, HOME)

    assert find_all_breaches(sealed) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE results SET probability = 1 - probability", "results 1 to 2: changed since they were written"),
        ("DELETE FROM audit_log WHERE position = 2", "audit log, position 2: missing, altered"),
    ],
)
def test_no_upgrade_seals_what_was_altered_before_it(sealed: Engine, change: str, told: str) -> None:
    tamper(sealed, change)

    migrate(sealed, HOME)

    assert any(told in breach for breach in find_all_breaches(sealed)), find_all_breaches(sealed)


@pytest.mark.processes
def test_a_kill_before_any_of_its_statements_leaves_the_old_database(old: Engine, sqlite_only: None) -> None:
    before = read(old, OLD)

    killed = kill_upgrades(old, "0007", lambda: [read(old, query) for query in (SCHEMA, OLD)], home=HOME)

    assert killed >= 1
    assert read(old, OLD) == before
