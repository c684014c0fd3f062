"""Revision 0002, from a database with rows that 0001 made: whole whenever it is killed, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from db.engine import open_engine, writing
from tests.db.upgrades import kill_upgrades, upgrade

FILES = (
    "INSERT INTO incoming_files (id, name, size, mtime_ns, ctime_ns, signature, state, reason_code, refused_sha256, "
    "first_seen_at, decided_at, tries, superseded_at) VALUES "
    "(1, 'a.png', 10, 1, 2, 3, 'rejected', 'NO_CONTRAST', 'aa', '2026-01-01', '2026-01-02', 1, '2026-01-03'), "
    "(2, 'a.png', 11, 1, 2, 4, 'rejected', 'NON_FINITE_SCORE', 'bb', '2026-01-01', '2026-01-02', 2, NULL), "
    "(7, 'b.png', 12, 1, 2, 5, 'new', NULL, NULL, '2026-01-01', NULL, 0, NULL)"
)


@pytest.fixture
def old(empty_url: str) -> Iterator[Engine]:
    """A database of revision 0001 with files in it."""
    engine = open_engine(empty_url)
    upgrade(engine, "0001")
    with writing(engine).begin() as connection:
        connection.execute(text(FILES))
    yield engine
    engine.dispose()


def read_files(engine: Engine) -> Sequence[Any]:
    with engine.connect() as connection:
        return connection.execute(text("SELECT * FROM incoming_files ORDER BY id")).all()


def read_indexes(engine: Engine) -> Sequence[Any]:
    with engine.connect() as connection:
        query = "SELECT name, sql FROM sqlite_master WHERE tbl_name LIKE 'incoming%' ORDER BY name"
        return connection.execute(text(query)).all()


def reject_a_mask(engine: Engine) -> None:
    with writing(engine).begin() as connection:
        connection.execute(
            text("UPDATE incoming_files SET state = 'rejected', reason_code = 'FEW_GREY_LEVELS' WHERE id = 7")
        )


def test_every_row_stays_and_the_new_word_is_taken_and_no_other(old: Engine) -> None:
    before = read_files(old)
    with pytest.raises(IntegrityError):
        reject_a_mask(old)

    upgrade(old, "0002")

    assert read_files(old) == before
    reject_a_mask(old)
    with pytest.raises(IntegrityError), writing(old).begin() as connection:
        connection.execute(text("UPDATE incoming_files SET reason_code = 'BECAUSE' WHERE id = 7"))
    with pytest.raises(IntegrityError), writing(old).begin() as connection:
        connection.execute(text("UPDATE incoming_files SET superseded_at = NULL WHERE id = 1"))


def test_the_indexes_are_those_of_before(old: Engine, sqlite_only: None) -> None:
    before = [index for index in read_indexes(old) if index.name != "incoming_files"]

    upgrade(old, "0002")

    assert [index for index in read_indexes(old) if index.name != "incoming_files"] == before


@pytest.mark.processes
def test_a_kill_before_any_of_its_statements_leaves_the_old_database(old: Engine, sqlite_only: None) -> None:
    before = read_files(old)

    killed = kill_upgrades(old, "0002", lambda: (read_files(old), read_indexes(old)))

    assert killed >= 8
    assert read_files(old) == before
    reject_a_mask(old)
