"""Prefect's history on disk: measured, and cut when retention has freed some of it, under the server's own eyes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from flows.operations.doctor import HealthCheck, examine
from flows.operations.history import find_history, give_back, make_shrinkable, measure_history
from flows.service.server import prepare_history
from flows.settings import Settings

RUNS = 2000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "prefect").mkdir(mode=0o700)
    return Settings(home=tmp_path)


def write_runs(settings: Settings, *, shrinkable: bool = True) -> Path:
    """A file with the one table that is counted, in WAL mode as Prefect's, a kilobyte a run."""
    file = settings.home / "prefect" / "prefect.db"
    if shrinkable:
        make_shrinkable(file)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE flow_run (id INTEGER PRIMARY KEY, told TEXT)")
        database.executemany("INSERT INTO flow_run (told) VALUES (?)", [("x" * 1000,)] * RUNS)
    return file


def delete_most(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("DELETE FROM flow_run WHERE id % 10")


def test_what_is_deleted_leaves_the_file_while_another_process_writes_to_it(settings: Settings) -> None:
    file = write_runs(settings)
    before = file.stat().st_size
    delete_most(file)

    with closing(sqlite3.connect(file)) as server:
        server.execute("SELECT count(*) FROM flow_run").fetchone()
        given = give_back(file)
        with server:
            server.execute("INSERT INTO flow_run (told) VALUES ('next')")

    assert given > before / 2
    assert file.stat().st_size < before / 2
    found = measure_history(file)
    assert (found.runs, found.free) == (RUNS // 10 + 1, 0)


def test_a_file_of_before_is_written_anew_once_and_loses_nothing(settings: Settings) -> None:
    file = write_runs(settings, shrinkable=False)
    delete_most(file)
    assert give_back(file) == 0

    assert not measure_history(file).shrinks
    assert make_shrinkable(file)
    anew = file.stat().st_ino, measure_history(file)
    assert make_shrinkable(file)

    assert anew[1].runs == RUNS // 10
    assert (anew[1].free, anew[1].shrinks) == (0, True)
    assert (file.stat().st_ino, measure_history(file)) == anew


def test_a_large_file_of_before_is_left_as_it_is_for_the_service_would_be_waited_for_too_long(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = write_runs(settings, shrinkable=False)
    (small,) = history_checks(settings)
    monkeypatch.setattr("flows.operations.history.MOST_AT_A_START_MIB", 1)
    monkeypatch.setenv("XRAY_HOME", str(settings.home))
    before = file.read_bytes()

    prepare_history()

    assert file.read_bytes() == before
    (said,) = [record.getMessage() for record in caplog.records]
    (large,) = history_checks(settings)
    assert small.fix is None, "the next start does it"
    for words in (said, large.fix):
        assert f"stop the service and delete {file.parent}: no result is in it" in str(words)


def test_the_doctor_shows_how_much_of_the_disk_prefects_history_takes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_history(settings) is None
    assert history_checks(settings) == []
    write_runs(settings)

    (shown,) = history_checks(settings)
    monkeypatch.setattr("flows.operations.doctor._MUCH_HISTORY_MIB", 1)
    (much,) = history_checks(settings)

    assert f" MiB of {RUNS} runs in " in shown.what
    assert shown.fix is None
    assert much.fix is not None
    assert "stop the service and delete" in much.fix


def test_a_history_that_does_not_answer_is_a_finding_and_no_traceback(settings: Settings) -> None:
    (settings.home / "prefect" / "prefect.db").write_bytes(b"no database" * 100)

    (shown,) = history_checks(settings)

    assert "does not answer (DatabaseError)" in shown.what


def history_checks(settings: Settings) -> list[HealthCheck]:
    return [check for check in examine(settings) if check.what.startswith("Prefect's history")]
