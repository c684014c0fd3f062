"""Revision 0009: indexes of what is new or unknown; no row changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, inspect

from db.engine import open_engine
from tests.db.rows import ANCHOR, add_champion, score_files
from tests.db.upgrades import kill_upgrades, load_sealed, read, upgrade

ROWS = ["SELECT * FROM xrays ORDER BY id", "SELECT * FROM incoming_files ORDER BY id"]
ADDED = {"ix_xrays_folder_id", "ix_xrays_unknown_patient", "ix_incoming_files_unscored", "ix_evaluations_model_id"}
HOME = {"home": "/h", "incoming": "/h/incoming", "archive": "/archive", "incoming_place": "", "archive_place": ""}


@pytest.fixture
def old(empty_url: str) -> Iterator[Engine]:
    """A database of revision 0008 with results."""
    engine = open_engine(empty_url, anchor=ANCHOR)
    if engine.dialect.name == "sqlite":
        load_sealed(engine, "0005")
        upgrade(engine, "0008", HOME)
    else:
        upgrade(engine, "0008", HOME)
        score_files(engine, add_champion(engine), {"a.png": "A", "b.png": "B"})
    yield engine
    engine.dispose()


def find_indexes(engine: Engine) -> set[str | None]:
    found = inspect(engine)
    return {index["name"] for table in found.get_table_names() for index in found.get_indexes(table)}


def test_the_indexes_come_and_every_row_stays(old: Engine) -> None:
    before = [read(old, query) for query in ROWS]
    assert not ADDED & find_indexes(old)

    upgrade(old, "0009", HOME)

    assert find_indexes(old) >= ADDED
    assert [read(old, query) for query in ROWS] == before


@pytest.mark.processes
def test_a_kill_before_any_of_its_statements_leaves_the_old_database(old: Engine, sqlite_only: None) -> None:
    killed = kill_upgrades(old, "0009", lambda: (find_indexes(old), [read(old, query) for query in ROWS]), home=HOME)

    assert killed >= len(ADDED)
