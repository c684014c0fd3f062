"""What a scan of a small folder costs beside a long history: it looks up what is listed, and no more."""

from __future__ import annotations

import re
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from statistics import median
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from flows.scoring.arrivals import find_arrivals
from flows.scoring.scan import open_scan
from flows.settings import CHECKOUT, Settings
from tests.benchmarks.homes import add_gone_files, add_known_files
from tests.benchmarks.processes import environment_of

LISTED, MANY, ROUNDS = 1_000, 1_000_000, 9


def test_no_question_of_a_scan_reads_all_files_that_were_ever_decided(settings: Settings, sqlite_home: None) -> None:
    settings = settings.but({"archive_dir": settings.home / "archive"})
    (settings.home / "archive").mkdir()
    add_known_files(settings, 5)
    add_gone_files(settings, 100)
    asked: dict[str, Any] = {}

    def hear(connection: Connection, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked[statement] = parameters

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        find_arrivals(settings)
        with open_scan(settings) as scan:
            assert list(scan.find_batches()) == []
    finally:
        event.remove(Engine, "before_cursor_execute", hear)

    with closing(sqlite3.connect(settings.home / "xray.db")) as database:
        plans = {
            question: [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {question}", parameters)]
            for question, parameters in asked.items()
            if question.lstrip().startswith("SELECT") and "incoming_files" in question
        }
    whole = re.compile(r"SCAN incoming_files(?! USING (COVERING )?INDEX ix_incoming_files_(undecided|staying))")
    assert len(plans) >= 4
    assert {question: plan for question, plan in plans.items() if any(map(whole.match, plan))} == {}


@pytest.mark.slow
@pytest.mark.processes
def test_a_scan_of_a_thousand_files_costs_the_same_beside_a_thousand_and_a_million_known_ones(
    settings: Settings,
) -> None:
    add_known_files(settings, LISTED)
    before = [middle(cost, settings) for cost in (scan, look)]
    add_gone_files(settings, MANY - LISTED)
    after = [middle(cost, settings) for cost in (scan, look)]

    for what, few, many in zip(("a scan", "its look alone"), before, after, strict=True):
        print(f"{what}: {few * 1e3:.1f} ms beside {LISTED:,}, {many * 1e3:.1f} ms beside {MANY:,}: {many / few:.2f}")
    assert after[0] <= 1.2 * before[0]
    assert after[1] <= 2 * before[1]


def middle(cost: Callable[[Settings], float], settings: Settings) -> float:
    return median([cost(settings) for _ in range(ROUNDS)][2:])


def scan(settings: Settings) -> float:
    """Processor seconds of `xray scan`, which finds nothing."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = environment_of(settings) | {"XRAY_DATABASE_URL": settings.url}
    done = subprocess.run(
        [sys.executable, "-m", "flows", "scan"],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "nothing new" in done.stdout
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def look(settings: Settings) -> float:
    """Processor seconds of one look for what is new, in a process that has begun long ago."""
    started = time.process_time()
    assert not find_arrivals(settings).is_waiting
    return time.process_time() - started
