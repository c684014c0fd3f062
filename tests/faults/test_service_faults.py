"""The running service when its parts are killed: it recovers by itself, and no run stays Running for ever."""

from __future__ import annotations

import signal
import subprocess
import time

import psutil
import pytest

from flows.service import Address, is_healthy
from flows.settings import Settings
from flows.verification import find_breach
from tests.faults.scanners import drop_many
from tests.flows.test_scan import count_results, drop_xrays
from tests.flows.test_service import ask, free_port, running, wait_until

pytestmark = [pytest.mark.prefect, pytest.mark.slow, pytest.mark.timeout(900)]

# What README promises: the next scan starts within two minutes of any death.
RECOVERY_SECONDS = 120


def children_of(process: subprocess.Popen[bytes]) -> dict[str, psutil.Process]:
    """Server and worker, by what their command lines say."""
    found: dict[str, psutil.Process] = {}
    for child in psutil.Process(process.pid).children():
        words = " ".join(child.cmdline())
        for name, mark in (("server", "server start"), ("worker", "worker start")):
            if mark in words:
                found[name] = child
    return found


def kill(process: psutil.Process) -> float:
    process.send_signal(signal.SIGKILL)
    return time.monotonic()


def test_scanning_goes_on_within_two_minutes_of_any_kill(settings: Settings) -> None:
    address = Address("127.0.0.1", free_port())
    with running(settings, address) as up:
        for number, part in enumerate(("worker", "server", "both")):
            killed = ("server", "worker") if part == "both" else (part,)
            before = count_results(settings)
            victims = children_of(up)
            killed_at = [kill(victims[name]) for name in killed][-1]
            drop_xrays(settings.incoming_dir, 1, seed=100 + number)
            wait_until(lambda: count_results(settings) == before + 1, seconds=RECOVERY_SECONDS)  # noqa: B023
            print(f"{part} killed: scored again after {time.monotonic() - killed_at:.0f} s")
        assert find_breach(settings)[0] is None


def test_a_run_whose_process_and_worker_were_killed_does_not_stay_running(settings: Settings) -> None:
    address = Address("127.0.0.1", free_port())
    with running(settings, address) as up:
        drop_many(settings.incoming_dir, 6000)  # long enough to be met at work
        wait_until(lambda: count_results(settings) > 0, seconds=90)
        stuck = running_runs(address)
        worker = children_of(up)["worker"]
        for process in (worker, *worker.children(recursive=True)):
            killed_at = kill(process)
        at_work = count_results(settings)
        assert stuck
        assert 0 < at_work < 6000

        wait_until(lambda: not stuck & running_runs(address), seconds=200)
        left_after = time.monotonic() - killed_at
        wait_until(lambda: count_results(settings) > at_work, seconds=RECOVERY_SECONDS)
        print(
            f"the killed run left Running after {left_after:.0f} s; {time.monotonic() - killed_at:.0f} s to scan again"
        )
        wait_until(lambda: count_results(settings) == 6000, seconds=RECOVERY_SECONDS)
    assert find_breach(settings)[0] is None


def running_runs(address: Address) -> set[str]:
    body = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
    return {run["id"] for run in ask(address, "/flow_runs/filter", body)}


def test_a_killed_service_leaves_nothing_behind_and_starts_again(settings: Settings) -> None:
    address = Address("127.0.0.1", free_port())
    drop_xrays(settings.incoming_dir, 1, seed=1)
    with running(settings, address) as up:
        left = list(children_of(up).values())
        up.kill()
        up.wait()
        assert len(left) >= 2
        wait_until(lambda: not any(is_alive(child) for child in left), seconds=10)
        assert not is_healthy(address)

    with running(settings, address):
        wait_until(lambda: count_results(settings) == 1, seconds=RECOVERY_SECONDS)


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
