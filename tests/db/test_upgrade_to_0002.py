"""Revision 0002, from a database with rows that 0001 made: whole whenever it is killed, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from db.engine import open_engine, read_revision, writing
from tests.db.rows import ROOT

FILES = (
    "INSERT INTO incoming_files (id, name, size, mtime_ns, ctime_ns, signature, state, reason_code, refused_sha256, "
    "first_seen_at, decided_at, tries, superseded_at) VALUES "
    "(1, 'a.png', 10, 1, 2, 3, 'rejected', 'NO_CONTRAST', 'aa', '2026-01-01', '2026-01-02', 1, '2026-01-03'), "
    "(2, 'a.png', 11, 1, 2, 4, 'rejected', 'NON_FINITE_SCORE', 'bb', '2026-01-01', '2026-01-02', 2, NULL), "
    "(7, 'b.png', 12, 1, 2, 5, 'new', NULL, NULL, '2026-01-01', NULL, 0, NULL)"
)
# Stops the process just before one of the statements that the migration sends to the database.
DYING = """
import os, signal, sys
from sqlalchemy import event
from db.engine import open_engine
from tests.db.test_upgrade_to_0002 import upgrade

engine = open_engine(sys.argv[1])
left = int(sys.argv[2])

@event.listens_for(engine, "before_cursor_execute")
def count(connection, cursor, statement, parameters, context, executemany):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

upgrade(engine, "0002")
"""


def upgrade(engine: Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "db" / "migrations"))
    with writing(engine).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


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
    before = read_files(old), read_indexes(old)
    old.dispose()
    killed = 0
    for statement in range(60):
        arguments = [sys.executable, "-c", DYING, old.url.render_as_string(), str(statement)]
        done = subprocess.run(
            arguments, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
        )
        with old.connect() as connection:
            revision = read_revision(connection)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert revision == "0001"
        assert (read_files(old), read_indexes(old)) == before
        old.dispose()
        killed += 1

    assert killed >= 8
    assert revision == "0002"
    assert read_files(old) == before[0]
    reject_a_mask(old)
