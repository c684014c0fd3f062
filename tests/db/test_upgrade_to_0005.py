"""Revision 0005, from a database with labels that 0004 made: whole whenever it is killed, and no label changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from db.engine import open_engine, read_revision, writing
from tests.db.rows import ROOT
from tests.db.test_upgrade_to_0003 import FILMS, LABEL, XRAY, read, upgrade

DYING = """
import os, signal, sys
from sqlalchemy import event
from db.engine import open_engine
from tests.db.test_upgrade_to_0003 import upgrade

engine = open_engine(sys.argv[1])
left = int(sys.argv[2])

@event.listens_for(engine, "before_cursor_execute")
def count(connection, cursor, statement, parameters, context, executemany):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

upgrade(engine, "0005")
"""
OLD = "SELECT id, xray_id, label, reader, labelled_at, source, import_sha256, imported_at FROM labels ORDER BY id"
SCHEMA = "SELECT name, sql FROM sqlite_master ORDER BY name"
READ_BY_TWO = (
    "INSERT INTO labels (xray_id, label, reader, source, import_sha256, imported_at) "
    "VALUES (:film, :label, :reader, 'csv', '0', '2026-01-02')"
)


@pytest.fixture
def old(empty_url: str) -> Iterator[Engine]:
    """A database of revision 0004 with labels of a dataset and of two readers who contradict each other."""
    engine = open_engine(empty_url)
    upgrade(engine, "0004")
    with writing(engine).begin() as connection:
        connection.execute(text(XRAY), [{"id": film, "sha": f"{film:064d}", "path": FILMS[film]} for film in FILMS])
        connection.execute(text(LABEL), [{"film": 3, "import": "0" * 64}, {"film": 4, "import": "0" * 64}])
        said = [("Reader A", "covid"), ("reader b", "normal")]
        connection.execute(text(READ_BY_TWO), [{"film": 1, "reader": who, "label": what} for who, what in said])
    yield engine
    engine.dispose()


def test_old_labels_keep_what_they_said_and_nobody_knows_what_their_readers_saw(old: Engine) -> None:
    before = read(old, OLD)

    upgrade(old, "0005")

    assert len(before) == 4
    assert read(old, OLD) == before
    assert set(read(old, "SELECT role, score_visible, list_item_id, request_id FROM labels")) == {
        ("reader", None, None, None)
    }
    assert read(old, "SELECT label, labelled_by FROM current_results WHERE xray_id = 1") == [("normal", "reader b")]


def test_other_is_taken_and_history_still_cannot_be_changed(old: Engine) -> None:
    upgrade(old, "0005")

    with writing(old).begin() as connection:
        connection.execute(text(READ_BY_TWO), {"film": 2, "reader": "a", "label": "other"})
    with pytest.raises(DBAPIError), writing(old).begin() as connection:
        connection.execute(text(READ_BY_TWO), {"film": 2, "reader": "a", "label": "flu"})
    for change in ("UPDATE labels SET label = 'normal'", "DELETE FROM labels"):
        with pytest.raises(DBAPIError, match=r"append-only|refuses"), writing(old).begin() as connection:
            connection.execute(text(change))


def test_a_kill_before_any_of_its_statements_leaves_the_old_database(old: Engine, sqlite_only: None) -> None:
    before = [read(old, query) for query in (SCHEMA, OLD)]
    old.dispose()
    killed = 0
    for statement in range(0, 300, 5):
        done = subprocess.run(
            [sys.executable, "-c", DYING, old.url.render_as_string(), str(statement)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        with old.connect() as connection:
            revision = read_revision(connection)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert (revision, [read(old, query) for query in (SCHEMA, OLD)]) == ("0004", before)
        old.dispose()
        killed += 1

    assert killed >= 5
    assert revision == "0005"
    assert read(old, OLD) == before[1]
