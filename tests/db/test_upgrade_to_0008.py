"""Revision 0008: results of before stay as they were, those to come name study and image; whole whenever killed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from db.engine import open_engine, snapshot, writing
from db.invariants import find_breaches
from db.migrate import migrate
from tests.db.rows import ANCHOR
from tests.db.test_upgrade_to_0003 import HOME, XRAY
from tests.db.upgrades import kill_upgrades, read, upgrade

OLD = "SELECT id, xray_id, model_id, probability, outcome, scored_at FROM results ORDER BY id"
SCHEMA = "SELECT name, sql FROM sqlite_master ORDER BY name"
MODEL = (
    "INSERT INTO models (version, stage, architecture, preprocessing_version, keras_sha256, onnx_sha256, "
    "manifest_sha256, created_at, proven) VALUES ('m1', 'champion', 'seed_cnn', 'v1', :sha, :sha, :sha, "
    "'2026-01-01', FALSE)"
)
RESULT = (
    "INSERT INTO results (xray_id, model_id, preprocessing_version, probability, outcome, scored_at, duration_ms, "
    "shadow) VALUES (1, 1, 'v1', 0.75, 'positive', '2026-01-02', 1.0, FALSE)"
)


@pytest.fixture
def old(empty_url: str) -> Iterator[Engine]:
    """A database of revision 0007 with a result."""
    engine = open_engine(empty_url, anchor=ANCHOR)
    upgrade(engine, "0002")
    with writing(engine).begin() as connection:
        connection.execute(text(XRAY), [{"id": 1, "sha": "1" * 64, "path": "/home/incoming/a.dcm"}])
    upgrade(engine, "0007", HOME)
    with writing(engine).begin() as connection:
        connection.execute(text(MODEL), {"sha": "0" * 64})
        connection.execute(text(RESULT))
    yield engine
    engine.dispose()


def test_a_result_of_before_stays_as_it_was_and_names_no_study(old: Engine) -> None:
    before = read(old, OLD)

    upgrade(old, "0008", HOME)

    assert len(before) == 1
    assert read(old, OLD) == before
    assert read(old, "SELECT probability, study, image FROM current_results") == [(0.75, None, None)]
    for change in ("UPDATE results SET study = 'x'", "DELETE FROM results"):
        with pytest.raises(DBAPIError, match=r"append-only|refuses"), writing(old).begin() as connection:
            connection.execute(text(change))


@pytest.mark.processes
def test_a_kill_before_any_of_its_statements_leaves_the_old_database(old: Engine, sqlite_only: None) -> None:
    before = read(old, OLD)

    killed = kill_upgrades(old, "0008", lambda: [read(old, query) for query in (SCHEMA, OLD)], home=HOME)

    assert killed >= 3
    assert read(old, OLD) == before


def test_an_empty_ledger_of_before_holds_after_the_upgrade(empty_url: str) -> None:
    engine = open_engine(empty_url, anchor=ANCHOR)
    upgrade(engine, "0007", HOME)

    migrate(engine, HOME)

    with snapshot(engine) as session:
        assert list(find_breaches(session)) == []
    engine.dispose()
