"""Revision 0005, from a database with labels that 0004 made: whole whenever it is killed, and no label changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from db.engine import open_engine, writing
from tests.db.test_upgrade_to_0003 import FILMS, HOME, LABEL, XRAY
from tests.db.upgrades import kill_upgrades, read, upgrade

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
    upgrade(engine, "0004", HOME)
    with writing(engine).begin() as connection:
        connection.execute(text(XRAY), [{"id": film, "sha": f"{film:064d}", "path": FILMS[film]} for film in FILMS])
        connection.execute(text(LABEL), [{"film": 3, "import": "0" * 64}, {"film": 4, "import": "0" * 64}])
        said = [("Reader A", "covid"), ("reader b", "normal")]
        connection.execute(text(READ_BY_TWO), [{"film": 1, "reader": who, "label": what} for who, what in said])
    yield engine
    engine.dispose()


def test_old_labels_keep_what_they_said_and_nobody_knows_what_their_readers_saw(old: Engine) -> None:
    before = read(old, OLD)

    upgrade(old, "0005", HOME)

    assert len(before) == 4
    assert read(old, OLD) == before
    assert set(read(old, "SELECT role, score_visible, list_item_id, request_id FROM labels")) == {
        ("reader", None, None, None)
    }
    assert read(old, "SELECT label, labelled_by FROM current_results WHERE xray_id = 1") == [("normal", "reader b")]


def test_other_is_taken_and_history_still_cannot_be_changed(old: Engine) -> None:
    upgrade(old, "0005", HOME)

    with writing(old).begin() as connection:
        connection.execute(text(READ_BY_TWO), {"film": 2, "reader": "a", "label": "other"})
    with pytest.raises(DBAPIError), writing(old).begin() as connection:
        connection.execute(text(READ_BY_TWO), {"film": 2, "reader": "a", "label": "flu"})
    for change in ("UPDATE labels SET label = 'normal'", "DELETE FROM labels"):
        with pytest.raises(DBAPIError, match=r"append-only|refuses"), writing(old).begin() as connection:
            connection.execute(text(change))


@pytest.mark.processes
def test_a_kill_before_any_of_its_statements_leaves_the_old_database(old: Engine, sqlite_only: None) -> None:
    before = read(old, OLD)

    killed = kill_upgrades(old, "0005", lambda: [read(old, query) for query in (SCHEMA, OLD)], home=HOME, step=5)

    assert killed >= 5
    assert read(old, OLD) == before
