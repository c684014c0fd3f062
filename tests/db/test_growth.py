"""What is asked of the ledger every day asks indexes: no question reads what years have left.

Counted are the steps of SQLite's own machine: they are the same on every computer, however busy it is.
"""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, insert
from sqlalchemy.orm import Session

from db.engine import snapshot, transaction
from db.growth import measure_growth
from db.reading.opinions import read_standings
from db.records import ModelRecord
from db.registry import evaluations, terms
from db.scoring import claims, decisions, file_history, film_names, patient_tally, results, scans, whereabouts, xrays
from db.scoring.tables import IncomingFileRow, ResultRow, XrayRow
from db.sealing import adding
from tests.benchmarks.years import rows
from tests.db.rows import (
    NOW,
    add_champion,
    add_incoming,
    add_model,
    import_labels,
    label_row,
    promote,
    score_files,
    sha256_of,
)

QUESTIONS: dict[str, Callable[[Session], object]] = {
    "counts of files": file_history.count_states,
    "a file by its name": lambda session: file_history.explain_file(session, rows.name_of(1)),
    "films by their name": lambda session: film_names.find_named(session, [rows.name_of(1)]),
    "X-rays by content": lambda session: xrays.read_ids(session, [rows.content_of(1)]),
    "unknown patients": patient_tally.count_unknown_scored,
    "the last scan": scans.last_scan,
    "files that are overdue": lambda session: decisions.find_overdue(session, folder_id=1, before=NOW),
    "files that are due": lambda session: decisions.find_due(session, 1, NOW, limit=1000),
    "what is decided of a listing": lambda session: claims.decided_among(session, [1, 2], NOW),
    "when to look again": lambda session: claims.next_look(session, 1, NOW),
    "how much waits for the archive": lambda session: whereabouts.count_staying(session, 2, after=0),
    "what waits for the archive": lambda session: whereabouts.read_staying(session, 1, after=0, limit=10),
    "the newest figures of a model": lambda session: evaluations.latest_figures(
        session, version="m1", set_name="drift"
    ),
}


FEW, MANY = 200, 4_000
# Counts of everything, from an index alone: so many steps a film.
STEPS_A_FILM = {"counts of files": 8}


def count_steps(engine: Engine, ask: Callable[[Session], object]) -> int:
    """How many steps SQLite takes for a question, to within a hundred."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 100
        return 0

    with snapshot(engine) as session:
        ask(session)  # what is asked once of every connection
        driver = session.connection().connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_progress_handler(step, 100)
        ask(session)
        driver.set_progress_handler(None, 0)
    return steps


def add_films(engine: Engine, model: ModelRecord, folder_id: int, numbers: range) -> None:
    with transaction(engine) as session:
        batch = rows.describe_films(numbers, MANY, [model], folder_id)
        for table, described in zip((XrayRow, ResultRow, IncomingFileRow), batch, strict=True):
            with adding(session, table):
                session.connection().execute(insert(table), described)


def test_a_question_of_every_day_costs_after_many_films_what_it_costs_after_few(
    engine: Engine, sqlite_only: None
) -> None:
    model = add_champion(engine)
    with transaction(engine) as session:
        folder_id = add_incoming(session)
    add_films(engine, model, folder_id, range(1, FEW + 1))
    few = {name: count_steps(engine, ask) for name, ask in QUESTIONS.items()}
    add_films(engine, model, folder_id, range(FEW + 1, MANY + 1))

    many = {name: count_steps(engine, ask) for name, ask in QUESTIONS.items()}

    grown = {
        name: (few[name], steps)
        for name, steps in many.items()
        if steps > 1.5 * few[name] + 200 + STEPS_A_FILM.get(name, 0) * (MANY - FEW)
    }
    assert grown == {}


def test_what_champions_scored_is_counted_in_one_pass_without_an_index_of_all_results_or_sorting_them(
    engine: Engine, sqlite_only: None
) -> None:
    with transaction(engine) as session:
        add_model(session, "m1")
        model = promote(session, "m1", now=rows.START)
        folder_id = add_incoming(session)
    add_films(engine, model, folder_id, range(1, FEW + 1))
    asked: list[str] = []
    with snapshot(engine) as session:
        driver = session.connection().connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_trace_callback(asked.append)
        terms.history(session)
        driver.set_trace_callback(None)
        plans = [row[3] for statement in asked for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}")]

    passes = [plan for plan in plans if plan.startswith(("SCAN r", "SEARCH r"))]
    assert set(passes) == {"SEARCH r USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)", "SEARCH results"}
    assert not [plan for plan in plans if "TEMP B-TREE" in plan]


def test_films_are_looked_for_in_a_stream_without_a_list_or_an_order_made_of_all_of_them(
    engine: Engine, sqlite_only: None
) -> None:
    """SQLite kept 24 bytes of each film for the list, and sorted whole rows: 40 MB of a million."""
    asked: list[str] = []
    with snapshot(engine) as session:
        driver = session.connection().connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_trace_callback(asked.append)
        assert list(whereabouts.iter_films(session)) == []
        driver.set_trace_callback(None)
        plans = [row[3] for statement in asked for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}")]

    assert "SCAN xrays" in plans
    assert not [plan for plan in plans if "TEMP B-TREE" in plan or "SUBQUERY" in plan or "MULTI-INDEX" in plan]


def test_no_piece_of_an_export_stays_in_memory_until_somebody_looks_for_garbage(engine: Engine) -> None:
    """A statement made anew for every piece kept its list of X-rays in a circle: 50 MB of a million films."""
    model = add_champion(engine)
    score_files(engine, model, {f"{number}.png": str(number) for number in range(50)})
    import_labels(engine, *(label_row(f"{number}.png") for number in range(50)))
    with snapshot(engine) as session:
        list(results.iter_result_lines(session))  # whatever is made once
        read_standings(session, sha256s=[sha256_of(str(number)) for number in range(50)])
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            lines = list(results.iter_result_lines(session))
            found = read_standings(session, sha256s=[line.xray_sha256 or "" for line in lines])
            gc.collect()
            kept = [len(thing) for thing in gc.garbage if isinstance(thing, list | tuple | dict) and len(thing) >= 50]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()

    assert len(lines) == len(found) == 50
    assert kept == []


def test_what_the_database_takes_is_told_by_table_and_by_the_pace_of_late(engine: Engine) -> None:
    model = add_champion(engine)
    with snapshot(engine) as session:
        assert measure_growth(session).a_day is None
    with transaction(engine) as session:
        folder_id = add_incoming(session)
    add_films(engine, model, folder_id, range(1, FEW + 1))

    with snapshot(engine) as session:
        growth = measure_growth(session)

    assert growth.results == FEW
    # Three years are the time of all films: some of them came in as many of three years' days.
    assert growth.a_day == pytest.approx(MANY / (3 * 365), rel=0.02)
    assert {"xrays", "results", "incoming_files"} <= growth.by_table.keys()
    assert list(growth.by_table.values()) == sorted(growth.by_table.values(), reverse=True)
    assert sum(growth.by_table.values()) <= growth.size
