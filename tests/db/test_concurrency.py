"""Several processes on one database: nothing twice, nothing lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, inspect, select

from db import invariants
from db.columns import Base
from db.engine import check_schema, open_engine, snapshot, transaction
from db.registry import training_runs
from db.schema import HEAD
from db.scoring import file_history
from db.scoring.tables import IncomingFileRow, ResultRow
from tests.db.rows import ANCHOR, NOW, ROOT, add_champion
from tests.patience import here
from xray_core.records import FileState

pytestmark = pytest.mark.processes

PROCESSES = 4


def start(*arguments: str, say_to: Path | None = None) -> subprocess.Popen[str]:
    """One worker process, which speaks into a file or (for `finish`) into a pipe."""
    command = [sys.executable, "-m", "tests.db.workers", *arguments]
    if say_to is None:
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with say_to.open("w") as file:
        return subprocess.Popen(command, cwd=ROOT, stdout=file, text=True)


def finish(processes: Sequence[subprocess.Popen[str]]) -> list[list[str]]:
    """What each process printed, after all have ended well."""
    printed = [process.communicate(timeout=here(100))[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return printed


def breaches(engine: Engine) -> list[str]:
    with snapshot(engine) as session:
        return list(invariants.find_breaches(session))


def test_four_scanners_claim_every_file_exactly_once(engine: Engine, database_url: str) -> None:
    add_champion(engine)

    printed = finish([start("claim_all", database_url, f"w{number}", "400") for number in range(PROCESSES)])

    claimed = [name for names in printed for name in names]
    assert len(claimed) == 400
    assert len(set(claimed)) == 400
    with snapshot(engine) as session:
        assert session.scalar(select(func.count()).select_from(ResultRow)) == 400
        assert file_history.count_states(session)[0][FileState.SCORED] == 400
    assert breaches(engine) == []


def test_no_update_is_lost_among_four_writers(engine: Engine, database_url: str) -> None:
    with transaction(engine) as session:
        claim_training(session)

    finish([start("increment", database_url, "60") for _ in range(PROCESSES)])

    with snapshot(engine) as session:
        (run,) = training_runs.list_trainings(session)
    assert run.label_watermark == 240


def claim_training(session: object) -> int:
    run_id = training_runs.claim_training(
        session,  # type: ignore[arg-type]
        "d" * 64,
        watermark=0,
        scanner="test",
        now=NOW,
        lease_seconds=600,
        is_alive=lambda _: True,
        trigger="by hand",
        policy_sha256=None,
    )
    assert run_id is not None
    return run_id


def test_four_processes_at_the_threshold_start_one_training(engine: Engine, database_url: str) -> None:
    printed = finish([start("claim_training", database_url, f"w{number}") for number in range(PROCESSES)])

    answers = sorted(answer for answers in printed for answer in answers)
    assert answers.count("None") == PROCESSES - 1
    with snapshot(engine) as session:
        assert len(training_runs.list_trainings(session)) == 1


def test_what_was_acknowledged_survives_thirty_kills(engine: Engine, database_url: str, tmp_path: Path) -> None:
    add_champion(engine)
    chance = random.Random(5)
    acknowledged: set[str] = set()

    with nursery() as fork_writer:
        for cycle in range(10):
            said = [tmp_path / f"{cycle}-{number}.txt" for number in range(3)]
            writers = [fork_writer(database_url, path) for path in said]
            wait_for_names(said, 30 + chance.randrange(30))
            for pid in writers:
                os.kill(pid, signal.SIGKILL)
            # A line that the kill cut short was not acknowledged.
            lines = [line for path in said for line in path.read_text().splitlines(keepends=True) if line[-1] == "\n"]
            acknowledged.update(name for line in lines for name in line.split())

            assert acknowledged <= names_scored(engine)
            assert breaches(engine) == []


def test_a_full_disk_costs_nothing_that_was_acknowledged(
    engine: Engine, database_url: str, sqlite_only: None, tmp_path: Path
) -> None:
    add_champion(engine)
    said = tmp_path / "said.txt"

    (words,) = finish([start("score_until_full", database_url, str(said), str(400_000))])

    assert words[0] == "full:"
    assert set(said.read_text().split()) <= names_scored(engine)
    assert breaches(engine) == []
    with snapshot(engine) as session:
        assert file_history.count_states(session)[1] == {}  # no file is blamed for the disk


@contextmanager
def nursery() -> Iterator[Callable[[str, Path], int]]:
    """Forks writers from a process that has everything imported; gives back their pids."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.db.workers", "nursery"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    orders, answers = process.stdin, process.stdout

    def fork_writer(url: str, said: Path) -> int:
        print(url, said, file=orders, flush=True)
        return int(answers.readline())

    try:
        yield fork_writer
    finally:
        process.communicate(timeout=here(60))


def names_scored(engine: Engine) -> set[str]:
    with snapshot(engine) as session:
        return set(session.scalars(select(IncomingFileRow.name).where(IncomingFileRow.state == FileState.SCORED)))


def wait_for_a_line(files: Sequence[Path]) -> None:
    deadline = time.monotonic() + here(60)
    while not all(path.exists() and "\n" in path.read_text() for path in files):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def wait_for_names(files: Sequence[Path], count: int) -> None:
    """Until each writer has acknowledged something, and all together so many names."""
    wait_for_a_line(files)
    deadline = time.monotonic() + here(60)
    while sum(len(path.read_text().split()) for path in files) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.slow  # each revision's own test has it killed half-way; here all of them are, at any moment
def test_a_migration_that_is_killed_leaves_the_old_database_or_the_new_one(empty_url: str, tmp_path: Path) -> None:
    """An empty database is the old one here: SQLite's DDL must come in one transaction, as PostgreSQL's does."""
    chance = random.Random(7)
    ready = tmp_path / "ready.txt"
    found: set[str] = set()

    for _ in range(12):
        ready.unlink(missing_ok=True)
        process = start("migrate_once", empty_url, say_to=ready)
        wait_for_a_line([ready])
        time.sleep(chance.uniform(0, 0.015))
        process.send_signal(signal.SIGKILL)
        process.wait()
        found.add(revision_of(empty_url))
        if HEAD in found:
            break

    assert found <= {"none", HEAD}
    finish([start("migrate_once", empty_url) for _ in range(2)])
    assert revision_of(empty_url) == HEAD


def revision_of(url: str) -> str:
    """The whole state of a database in a word; anything between empty and migrated is a word of its own."""
    engine = open_engine(url, anchor=ANCHOR)
    try:
        tables = set(inspect(engine).get_table_names())
        if not tables:
            return "none"
        check_schema(engine)
        whole = tables == {*Base.metadata.tables, "alembic_version"} and breaches(engine) == []
        return HEAD if whole else "half"
    finally:
        engine.dispose()


@pytest.mark.slow
def test_a_writer_outwaits_a_lock_of_twenty_seconds(engine: Engine, tmp_path: Path) -> None:
    with transaction(engine) as session:
        session.connection()
        holder_since = time.monotonic()
        waiting = start("claim_training", engine.url.render_as_string(hide_password=False), "w0")
        time.sleep(20)

    (answer,) = finish([waiting])
    assert answer == ["1"]
    assert time.monotonic() - holder_since >= 20
