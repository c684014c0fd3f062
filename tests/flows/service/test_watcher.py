"""The watcher of a real service: what is dropped is taken in by a run that it started, once."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest

from flows.operations.server_api import ServerApi
from flows.operations.status import read_status
from flows.service.arrival_runs import ARRIVAL_TAG, forget_empty_runs
from flows.service.child import Address
from flows.service.service import is_healthy
from flows.settings import Settings
from tests.flows.scoring.test_scan import count_results, drop_xrays
from tests.flows.service.test_service import (
    ask,
    completed_runs,
    free_port,
    reschedule,
    running,
    scheduled_runs,
    wait_until,
)
from tests.patience import here

pytestmark = [pytest.mark.prefect, pytest.mark.timeout(900)]


def ask_again(question: Callable[[], Any]) -> Any:
    """Prefect's server on SQLite lets a question wait, or says 503, while it is busy; the watcher asks again, too."""
    for _ in range(10):
        with contextlib.suppress(OSError):
            return question()
        time.sleep(1)
    raise AssertionError("the server answered none of ten questions")


class Service:
    """A running `xray up`, asked as the watcher asks it."""

    def __init__(self, settings: Settings, address: Address, pid: int) -> None:
        self.settings = settings
        self.address = address
        self.pid = pid
        self.api = ServerApi(address.api, (settings.home / "api.login").read_text().strip())

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        """Runs whose time has come, newest first."""
        states = ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
        wanted = {
            "deployments": {"name": {"any_": [deployment]}},
            "flow_runs": {"state": {"type": {"any_": states}}},
            "sort": "START_TIME_DESC",
        }
        found: list[dict[str, Any]] = ask_again(lambda: self.api.post("flow_runs/filter", wanted))
        return found

    def forget(self, now: datetime) -> int:
        """How many empty runs are forgotten at that time."""
        return int(ask_again(lambda: forget_empty_runs(self.api, now)))

    def ended(self, deployment: str) -> list[str]:
        """State names of runs that have ended."""
        return [run["state_name"] for run in self.runs(deployment) if run["end_time"]]

    @property
    def log(self) -> Path:
        return self.settings.home / "run" / "watcher.log"


@pytest.fixture(scope="module")
def _taken_by_another_user() -> Iterator[None]:
    """A temporary folder in which Prefect's `runner_storage` is somebody else's; short, for sockets lie below it."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        Path(folder, "runner_storage").touch()  # the superuser, too, cannot make a folder in it
        patched.setenv("TMPDIR", folder)
        yield


@pytest.fixture(scope="module")
def service(shared_settings: Settings, _taken_by_another_user: None) -> Iterator[Service]:
    settings = shared_settings.but({"settle_seconds": 1.0})
    address = Address("127.0.0.1", free_port())
    with running(settings, address) as up:
        found = Service(settings, address, up.pid)
        # What a new service asks for by itself.
        wait_until(lambda: found.ended("score-incoming") and found.ended("import-labels"), seconds=60)
        yield found
        up.terminate()
        assert up.wait(here(60)) == 0
    assert not is_healthy(address)


def test_a_burst_of_films_is_scored_by_one_run_that_the_watcher_started(service: Service) -> None:
    before = len(service.runs("score-incoming"))

    drop_xrays(service.settings.incoming_dir, 5, seed=1)
    wait_until(lambda: count_results(service.settings) == 5, seconds=15)
    wait_until(lambda: len(service.ended("score-incoming")) == before + 1, seconds=15)

    newest = service.runs("score-incoming")[0]
    assert ARRIVAL_TAG in newest["tags"]
    assert not newest["auto_scheduled"]
    assert newest["state_name"] == "Scored 5"
    assert newest["name"].endswith("Scored 5")


def test_a_labels_csv_is_imported_by_a_run_that_the_watcher_started(service: Service) -> None:
    drop_xrays(service.settings.incoming_dir, 1, seed=2)
    wait_until(lambda: "xray-2-000.png" in names_of_results(service.settings), seconds=15)

    aside = service.settings.labels_dir / "labels.csv.part"
    aside.write_text("filename,label\nxray-2-000.png,covid\n")
    aside.rename(aside.with_suffix(""))
    wait_until(lambda: read_status(service.settings).labels_imported == 1, seconds=15)
    wait_until(lambda: "1 new labels" in service.ended("import-labels"), seconds=15)

    assert ARRIVAL_TAG in service.runs("import-labels")[0]["tags"]


def test_a_file_that_is_still_written_is_asked_for_again_until_it_is_whole(service: Service) -> None:
    settings, before = service.settings, count_results(service.settings)
    (whole,) = drop_xrays(settings.home, 1, seed=3)
    content = whole.read_bytes()
    growing = settings.incoming_dir / "grows.png"
    growing.write_bytes(content[:100])
    runs = len(service.ended("score-incoming"))
    wait_until(lambda: len(service.ended("score-incoming")) > runs, seconds=15)  # it was looked at, and was not whole

    with growing.open("ab") as file:  # moves no time of the folder
        file.write(content[100:])
    wait_until(lambda: count_results(settings) == before + 1, seconds=60)

    assert ARRIVAL_TAG in service.runs("score-incoming")[0]["tags"]


def test_a_watcher_that_is_killed_is_started_again_and_that_is_said(service: Service) -> None:
    before = count_results(service.settings)
    (watcher,) = find_watchers(service.pid)

    os.kill(watcher, signal.SIGKILL)
    wait_until(lambda: find_watchers(service.pid) not in ([], [watcher]), seconds=30)
    drop_xrays(service.settings.incoming_dir, 1, seed=4)
    wait_until(lambda: count_results(service.settings) == before + 1, seconds=30)

    assert "the watcher ended with exit code" in (service.settings.home / "up.log").read_text()


def test_the_watchers_log_names_no_file(service: Service) -> None:
    told = service.log.read_text()

    assert "score-incoming: started" in told
    assert "xray-" not in told.replace("xray-home", "")
    assert "grows" not in told


def test_runs_that_found_nothing_are_forgotten_once_they_are_an_hour_old_and_others_are_kept(service: Service) -> None:
    wait_until(lambda: "Nothing new" in service.ended("import-labels"), seconds=60)
    wait_until(lambda: all(run["end_time"] for run in service.runs("import-labels")), seconds=60)
    before, now = {run["id"]: run["state_name"] for run in service.runs("import-labels")}, datetime.now(UTC)

    assert service.forget(now) == 0
    assert service.forget(now + timedelta(hours=2)) > 0
    assert {run["id"] for run in service.runs("import-labels")} == {
        run for run, state in before.items() if state != "Nothing new"
    }


def test_the_schedule_looks_besides_and_a_runs_state_and_table_say_what_it_did_without_a_name(service: Service) -> None:
    settings, address = service.settings, service.address
    drop_xrays(settings.incoming_dir, 1, seed=5)
    wait_until(lambda: "xray-5-000.png" in names_of_results(settings), seconds=30)

    reschedule(settings, address, every=10)
    wait_until(lambda: ask_again(lambda: scheduled_runs(settings, address)), seconds=75)

    runs = ask_again(lambda: completed_runs(settings, address, "score-incoming"))
    wanted = {"artifacts": {"key": {"any_": ["scan-outcomes"]}}}
    tables = ask_again(lambda: ask(settings, address, "/artifacts/filter", wanted))
    assert all(run["state"]["message"] for run in runs)
    assert tables
    assert not re.search(r"xray-\d-\d", json.dumps([runs, tables]))  # as the films are named


def names_of_results(settings: Settings) -> set[str]:
    from tests.flows.scoring.test_scan import read_lines

    return set(read_lines(settings))


def find_watchers(pid: int) -> list[int]:
    children = [child for child in psutil.Process(pid).children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child.pid for child in children if "flows.service.watcher" in " ".join(child.cmdline())]
