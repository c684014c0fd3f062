"""The running service when its parts are killed or kept busy: it recovers by itself, and nothing piles up."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import psutil
import pytest
from sqlalchemy import select

from db.engine import open_engine, snapshot
from db.scoring.tables import ScanRow
from flows.home.ledger import find_anchor
from flows.operations.status import read_status
from flows.operations.verification import find_breach
from flows.service.child import Address
from flows.service.service import is_healthy
from flows.settings import Settings
from tests.faults.scanners import drop_many
from tests.flows.scoring.test_scan import count_results, drop_xrays
from tests.flows.service.test_service import ask, free_port, reschedule, running, wait_until
from tests.patience import here

pytestmark = [pytest.mark.prefect, pytest.mark.slow, pytest.mark.timeout(900)]

# What docs/promises.md says: the next scan starts within two minutes of any death.
RECOVERY_SECONDS = 120
# For the one test that a scan must outlast.
INTERVAL_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Service:
    """`xray up` as a process, and where it works."""

    settings: Settings
    address: Address
    up: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def service(shared_settings: Settings) -> Iterator[Service]:
    """One service for the tests that leave it running; one transaction a file makes its scans slow."""
    settings = shared_settings.but({"batch_size": 1})
    address = Address("127.0.0.1", free_port())
    with running(settings, address) as up:
        yield Service(settings, address, up)


def children_of(process: subprocess.Popen[bytes]) -> dict[str, psutil.Process]:
    """Server and worker, by what their command lines say."""
    found: dict[str, psutil.Process] = {}
    for child in filter(is_alive, psutil.Process(process.pid).children()):
        words = " ".join(child.cmdline())
        for name, mark in (("server", "flows.service.server"), ("worker", "worker start")):
            if mark in words:
                found[name] = child
    return found


def kill(*processes: psutil.Process) -> float:
    for process in processes:
        process.send_signal(signal.SIGKILL)
    return time.monotonic()


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def running_runs(settings: Settings, address: Address) -> set[str]:
    body = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
    return {run["id"] for run in ask(settings, address, "/flow_runs/filter", body)}


def put_to_work(settings: Settings, up: subprocess.Popen[bytes], count: int, *, seed: int) -> psutil.Process:
    """So many files to score, and the run's process once it is at work on them."""
    before = count_results(settings)
    drop_many(settings.incoming_dir, count, seed=seed)
    wait_until(lambda: count_results(settings) > before, seconds=90)
    runs = [child for child in children_of(up)["worker"].children() if is_scoring(child)]
    assert len(runs) == 1
    return runs[0]


def is_scoring(process: psutil.Process) -> bool:
    """Whether it has the decoders of a scan."""
    return len(process.children(recursive=True)) >= 2


def test_a_scan_whose_server_is_killed_finishes_or_is_done_again(service: Service) -> None:
    settings, address = service.settings, service.address
    put_to_work(settings, service.up, 1500, seed=4)
    stuck = running_runs(settings, address)

    killed_at = kill(children_of(service.up)["server"])
    at_work = count_results(settings)
    wait_until(lambda: count_files(settings) == count_results(settings), seconds=RECOVERY_SECONDS)
    scored_after = time.monotonic() - killed_at
    wait_until(lambda: is_healthy(address), seconds=RECOVERY_SECONDS)
    wait_until(lambda: not stuck & running_runs(settings, address), seconds=RECOVERY_SECONDS)

    print(f"server killed at work: all scored after {scored_after:.0f} s")
    print(f"server killed at work: left Running after {time.monotonic() - killed_at:.0f} s")
    assert at_work < count_files(settings)
    assert find_breach(settings)[0] is None


@pytest.mark.parametrize(("killed", "seed"), [("worker", 11), ("server", 12), ("server and worker", 13)])
def test_scanning_goes_on_within_two_minutes_of_a_kill(service: Service, killed: str, seed: int) -> None:
    settings = service.settings
    before = count_results(settings)
    victims = children_of(service.up)

    killed_at = kill(*(victims[name] for name in killed.split(" and ")))
    drop_xrays(settings.incoming_dir, 1, seed=seed)
    wait_until(lambda: count_results(settings) == before + 1, seconds=RECOVERY_SECONDS)

    print(f"{killed} killed: scored again after {time.monotonic() - killed_at:.0f} s")
    assert find_breach(settings)[0] is None


def test_a_run_whose_process_and_worker_were_killed_does_not_stay_running(service: Service) -> None:
    settings, address = service.settings, service.address
    put_to_work(settings, service.up, 1500, seed=1)
    stuck = running_runs(settings, address)
    worker = children_of(service.up)["worker"]

    killed_at = kill(worker, *worker.children(recursive=True))
    at_work = count_results(settings)
    wait_until(lambda: not stuck & running_runs(settings, address), seconds=RECOVERY_SECONDS)
    left_after = time.monotonic() - killed_at
    wait_until(lambda: count_results(settings) > at_work, seconds=RECOVERY_SECONDS - left_after)

    print(f"killed run: left Running after {left_after:.0f} s, scanning after {time.monotonic() - killed_at:.0f} s")
    assert stuck
    wait_until(lambda: count_files(settings) == count_results(settings), seconds=RECOVERY_SECONDS)
    assert find_breach(settings)[0] is None


def test_a_run_that_is_told_to_end_does_so_and_the_next_one_finishes(service: Service) -> None:
    settings, address = service.settings, service.address
    run = put_to_work(settings, service.up, 1500, seed=2)
    told = running_runs(settings, address)

    run.send_signal(signal.SIGTERM)
    told_at = time.monotonic()
    wait_until(lambda: not is_alive(run), seconds=10)
    print(f"told to end: gone after {time.monotonic() - told_at:.0f} s")

    last = read_status(settings).last_scan
    assert last is not None
    assert last.problem == "Stopped"
    assert find_breach(settings)[0] is None
    wait_until(lambda: not told & running_runs(settings, address), seconds=30)
    wait_until(lambda: count_files(settings) == count_results(settings), seconds=RECOVERY_SECONDS)
    assert find_breach(settings)[0] is None


def test_a_scan_longer_than_its_interval_is_never_joined_by_another_and_leaves_no_backlog(service: Service) -> None:
    settings, address = service.settings, service.address
    started_at = datetime.now(UTC)
    reschedule(settings, address, every=INTERVAL_SECONDS)
    try:
        put_to_work(settings, service.up, 1000, seed=3)
        wait_until(lambda: count_files(settings) == count_results(settings), seconds=RECOVERY_SECONDS)
        wait_until(lambda: not waiting_runs(settings, address)[1:], seconds=10)
        time.sleep(4)  # a burst would begin now
    finally:
        reschedule(settings, address, every=60)

    runs = [run for run in scoring_runs(settings, address) if read_time(run, "expected_start_time") > started_at]
    skipped = [run for run in runs if run["state_name"] == "Cancelled"]
    ran = sorted((run for run in runs if run["start_time"] and run not in skipped), key=lambda run: run["start_time"])
    longest = max(ran, key=lambda run: float(run["total_run_time"]))
    print(
        f"a scan of {longest['total_run_time']:.0f} s every {INTERVAL_SECONDS} s: {len(ran)} ran, "
        f"{len(skipped)} were skipped"
    )
    assert longest["total_run_time"] > 3 * INTERVAL_SECONDS
    assert len(skipped) >= 3
    assert {run["state"]["message"] for run in skipped} == {"Deployment concurrency limit reached."}
    for earlier, later in pairwise(ran):
        assert read_time(earlier, "end_time") <= read_time(later, "start_time")
    assert_scans_took_turns(settings)
    after = [run for run in ran if read_time(run, "start_time") > read_time(longest, "end_time")]
    seconds = (datetime.now(UTC) - read_time(longest, "end_time")).total_seconds()
    assert len(after) <= seconds / INTERVAL_SECONDS + 1, "a burst followed"
    assert find_breach(settings)[0] is None


def scoring_runs(settings: Settings, address: Address) -> list[dict[str, Any]]:
    body = {"flows": {"name": {"any_": ["score-incoming"]}}, "sort": "EXPECTED_START_TIME_DESC"}
    return ask(settings, address, "/flow_runs/filter", body)


def waiting_runs(settings: Settings, address: Address) -> list[dict[str, Any]]:
    """Those whose time has come and that have not ended or begun."""
    now = datetime.now(UTC)
    waiting = [run for run in scoring_runs(settings, address) if run["state_type"] in ("SCHEDULED", "PENDING")]
    return [run for run in waiting if read_time(run, "expected_start_time") < now]


def read_time(run: dict[str, Any], key: str) -> datetime:
    return datetime.fromisoformat(run[key])


def assert_scans_took_turns(settings: Settings) -> None:
    """No scan began before the one recorded before it had ended."""
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with snapshot(engine) as session:
        rows = session.execute(select(ScanRow.started_at, ScanRow.finished_at).order_by(ScanRow.id)).tuples().all()
    engine.dispose()
    for (_, finished), (started, _) in pairwise(rows):
        assert finished <= started


def count_files(settings: Settings) -> int:
    return len(os.listdir(settings.incoming_dir))


def test_a_killed_service_leaves_nothing_behind_and_one_that_is_told_to_end_neither(settings: Settings) -> None:
    settings = settings.but({"batch_size": 1})
    address = Address("127.0.0.1", free_port())
    drop_xrays(settings.incoming_dir, 1, seed=1)
    with running(settings, address) as up:
        left = list(children_of(up).values())
        up.kill()
        up.wait()
        assert len(left) >= 2
        wait_until(lambda: not any(is_alive(child) for child in left), seconds=10)
        assert not is_healthy(address)

    with running(settings, address) as up:
        wait_until(lambda: count_results(settings) == 1, seconds=RECOVERY_SECONDS)
        put_to_work(settings, up, 1500, seed=2)
        family = psutil.Process(up.pid).children(recursive=True)

        up.send_signal(signal.SIGTERM)
        told_at = time.monotonic()
        code = up.wait(here(70))

        print(f"told to end while a run was at work: stopped after {time.monotonic() - told_at:.0f} s")
        assert code == 0
        wait_until(lambda: not any(is_alive(process) for process in family), seconds=15)
    assert not is_healthy(address)
    assert find_breach(settings)[0] is None
