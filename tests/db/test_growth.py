"""What is asked of the ledger every day asks indexes: no question reads what years have left.

Counted are the steps of SQLite's own machine: they are the same on every computer, however busy it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, insert
from sqlalchemy.orm import Session

from db.engine import snapshot, transaction
from db.growth import measure_growth
from db.records import ModelRecord
from db.registry import evaluations, models
from db.scoring import claims, decisions, file_history, film_names, patient_tally, scans, whereabouts, xrays
from db.scoring.tables import IncomingFileRow, ResultRow, XrayRow
from db.sealing import adding
from tests.benchmarks.years import rows
from tests.db.rows import NOW, add_champion, add_incoming

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


def test_what_champions_scored_is_counted_without_an_index_of_all_results_built_for_it(
    engine: Engine, sqlite_only: None
) -> None:
    model = add_champion(engine)
    with transaction(engine) as session:
        folder_id = add_incoming(session)
    add_films(engine, model, folder_id, range(1, FEW + 1))
    asked: list[str] = []
    with snapshot(engine) as session:
        driver = session.connection().connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_trace_callback(asked.append)
        models.history(session)
        driver.set_trace_callback(None)
        plans = [row[3] for statement in asked for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}")]

    assert "SCAN r" in plans
    assert not [plan for plan in plans if "SEARCH r" in plan]


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
