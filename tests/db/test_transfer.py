"""A ledger goes into another database whole or not at all, and goes on there as if it had never moved."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, inspect, select, text

from db.columns import Base
from db.engine import open_engine, snapshot, writing
from db.invariants import find_breaches
from db.scoring.tables import ResultRow
from db.transfer import transfer
from tests.db.rows import ANCHOR, NOW, add_champion, score_files
from xray_core.errors import RefusedInput, SchemaOutOfDate
from xray_core.records import FolderKind


@pytest.fixture
def target(empty_url: str) -> Iterator[Engine]:
    opened = open_engine(empty_url, anchor=ANCHOR)
    yield opened
    opened.dispose()


def read_all(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    with snapshot(engine) as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table).order_by(*table.primary_key))]
            for table in Base.metadata.sorted_tables
        }


def fill(engine: Engine) -> None:
    model = add_champion(engine)
    for number in range(3):
        score_files(engine, model, {f"{number}-{part}.png": f"{number}-{part}" for part in range(700)})


def test_every_row_arrives_as_it_was_and_the_history_still_holds(engine: Engine, target: Engine) -> None:
    fill(engine)
    told: list[int] = []

    rows = transfer(engine, target, {}, on_progress=told.append)

    assert read_all(target) == read_all(engine)
    assert rows == sum(told) == sum(len(found) for found in read_all(engine).values())
    assert rows > 3 * 2100
    with snapshot(target) as session:
        assert list(find_breaches(session)) == []


def test_a_folder_gets_the_place_by_which_the_other_database_knows_it_and_is_sealed_so(
    engine: Engine, target: Engine
) -> None:
    fill(engine)

    transfer(engine, target, {(FolderKind.INCOMING, ""): "home-1:/data/incoming", (FolderKind.ARCHIVE, ""): "other"})

    before, after = read_all(engine), read_all(target)
    assert [row[1:3] for row in after.pop("folders")] == [(FolderKind.INCOMING, "home-1:/data/incoming")]
    assert len(after.pop("audit_log")) == len(before.pop("audit_log")) + 1
    assert before.pop("folders")
    assert after == before
    with snapshot(target) as session:
        assert list(find_breaches(session)) == []


def test_the_next_row_gets_the_number_after_the_last(engine: Engine, target: Engine) -> None:
    fill(engine)
    transfer(engine, target, {})

    model = add_champion(target, "m2")
    score_files(target, model, {"new.png": "new"}, now=NOW + timedelta(hours=1))

    with snapshot(target) as session:
        assert list(find_breaches(session)) == []
        assert session.scalar(select(func.max(ResultRow.id))) == 2101


def test_a_transfer_that_is_broken_off_leaves_the_database_empty_and_can_be_begun_again(
    engine: Engine, target: Engine
) -> None:
    fill(engine)

    def break_off(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer(engine, target, {}, on_progress=break_off)

    assert inspect(target).get_table_names() == []
    assert transfer(engine, target, {}) > 0


def test_a_database_that_holds_tables_takes_no_ledger(engine: Engine, target: Engine) -> None:
    with writing(target).begin() as connection:
        connection.execute(text("CREATE TABLE somebody_elses (id INTEGER)"))

    with pytest.raises(RefusedInput, match="somebody_elses"):
        transfer(engine, target, {})


def test_a_ledger_whose_history_was_altered_is_not_taken_over(
    engine: Engine, sqlite_only: None, target: Engine, tmp_path: Path
) -> None:
    fill(engine)
    with writing(engine).begin() as connection:
        connection.execute(text("DROP TRIGGER results_refuses_update"))
        connection.execute(text("UPDATE results SET probability = 1 - probability"))

    with pytest.raises(RefusedInput, match="does not hold"):
        transfer(engine, target, {})

    assert inspect(target).get_table_names() == []


def test_a_ledger_of_another_revision_is_brought_up_to_date_before_it_moves(target: Engine, tmp_path: Path) -> None:
    old = open_engine(f"sqlite:///{tmp_path / 'old.db'}", anchor=ANCHOR)
    with pytest.raises(SchemaOutOfDate, match="doctor --migrate"):
        transfer(old, target, {})
    old.dispose()
