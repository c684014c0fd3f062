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
    """Server, worker and the processes of running flows, by what their command lines say."""
    found: dict[str, psutil.Process] = {}
    for child in psutil.Process(process.pid).children(recursive=True):
        words = " ".join(child.cmdline())
        for name, mark in (("server", "server start"), ("worker", "worker start"), ("run", "flow-run")):
            if mark in words:
                found[name] = child
    return found


def kill(process: psutil.Process) -> float:
    process.send_signal(signal.SIGKILL)
    return time.monotonic()


def test_scanning_goes_on_within_two_minutes_of_any_kill(
    settings: Settings, record_property: pytest.RecordProperty
) -> None:
    address = Address("127.0.0.1", free_port())
    with running(settings, address) as up:
        for number, part in enumerate(("worker", "server", "both")):
            killed = ("server", "worker") if part == "both" else (part,)
            before = count_results(settings)
            victims = children_of(up)
            killed_at = [kill(victims[name]) for name in killed][-1]
            drop_xrays(settings.incoming_dir, 1, seed=100 + number)
            wait_until(lambda before=before: count_results(settings) == before + 1, seconds=RECOVERY_SECONDS)
            print(f"{part} killed: scored again after {time.monotonic() - killed_at:.0f} s")
        assert find_breach(settings)[0] is None


def test_a_run_whose_process_and_worker_were_killed_does_not_stay_running(settings: Settings) -> None:
    address = Address("127.0.0.1", free_port())
    with running(settings, address) as up:
        drop_many(settings.incoming_dir, 6000)  # long enough to be met at work
        wait_until(lambda: "run" in children_of(up) and count_results(settings) > 0, seconds=90)
        stuck = running_runs(address)
        victims = children_of(up)
        killed_at = [kill(victims[name]) for name in ("run", "worker")][-1]
        assert stuck

        wait_until(lambda: not stuck & running_runs(address), seconds=200)
        print(f"the killed run left Running after {time.monotonic() - killed_at:.0f} s")
        wait_until(lambda: count_results(settings) == 6000, seconds=RECOVERY_SECONDS)
        print(f"everything was scored after {time.monotonic() - killed_at:.0f} s")
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
