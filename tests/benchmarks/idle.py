"""The case of an idle service: a real `xray up` into which nothing comes.

`python -m tests.benchmarks.idle SECONDS` gives the polling deployments such a schedule.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import psutil

from flows.service.child import Address, child_environment
from flows.settings import CHECKOUT, Settings
from tests.benchmarks.measurement import Measurement, at_most
from tests.benchmarks.processes import run_program
from tests.benchmarks.workshop import Workshop

_POLLED = ("score-incoming", "import-labels")
_RUNS_AN_HOUR = 60 * len(_POLLED)
_NET_RUNS_AN_HOUR = 6 * len(_POLLED)
_START_SECONDS = 300


def idle_hour(shop: Workshop) -> Iterator[Measurement]:
    """Processor seconds of an hour in which nothing comes, against the same with schedules of a minute.

    Both services run beside each other for some minutes, each with all its processes: one without any scheduled run,
    the other with one of either deployment a minute. Their difference is what the runs cost; the hour of the watched
    service is its own minutes and twelve runs of its schedules, which are of ten minutes.
    """
    minutes = shop.sizes.idle_minutes
    with ExitStack() as stack:
        watched, polled = (stack.enter_context(_running(shop.empty_home(), every)) for every in (0, 60))
        time.sleep(60 * min(1, minutes))  # what begins with the service is over
        before = [_processor_seconds(up) for up in (watched, polled)]
        time.sleep(60 * minutes)
        rest, busy = (_processor_seconds(up) - was for up, was in zip((watched, polled), before, strict=True))
    by_minutes = busy * 60 / minutes
    of_runs = (busy - rest) * 60 / minutes
    by_arrival = rest * 60 / minutes + of_runs * _NET_RUNS_AN_HOUR / _RUNS_AN_HOUR
    what = "an idle hour, processor time"
    yield Measurement(what, "schedules of a minute", "s", (by_arrival,), (by_minutes,), at_most(1 / 3))


@contextmanager
def _running(settings: Settings, every: int) -> Iterator[psutil.Process]:
    """`xray up`, whose two polling deployments have one schedule of so many seconds, or none."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = Address("127.0.0.1", int(probe.getsockname()[1]))
    environment = child_environment(settings, address)
    with subprocess.Popen(
        [sys.executable, "-m", "flows", "up", "--port", str(address.port)],
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as up:
        try:
            _wait_for_worker(up)
            run_program(["tests.benchmarks.idle", str(every)], environment)
            yield psutil.Process(up.pid)
        finally:
            up.send_signal(signal.SIGINT)


def _wait_for_worker(up: subprocess.Popen[str]) -> None:
    assert up.stdout is not None
    for line in up.stdout:
        if "worker is up" in line:
            return
    raise RuntimeError(f"the service did not come up: exit code {up.wait(_START_SECONDS)}")


def _processor_seconds(process: psutil.Process) -> float:
    """Of a process and all that it ever started, as far as they are there or were waited for by one that is."""
    family = [process, *process.children(recursive=True)]
    used = 0.0
    for member in family:
        try:
            times = member.cpu_times()
        except psutil.NoSuchProcess:
            continue
        used += times.user + times.system + times.children_user + times.children_system
    return used


def _reschedule(seconds: int) -> None:
    """Give the polling deployments of this environment's server one schedule, or none where it is of 0 seconds."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.schedules import IntervalSchedule

    with get_client(sync_client=True) as client:
        for name in _POLLED:
            deployment = client.read_deployment_by_name(f"{name}/{name}")
            for schedule in client.read_deployment_schedules(deployment.id):
                client.delete_deployment_schedule(deployment.id, schedule.id)
            if seconds:
                wanted = IntervalSchedule(interval=timedelta(seconds=seconds))
                client.create_deployment_schedules(deployment.id, [(wanted, True)])


if __name__ == "__main__":
    _reschedule(int(sys.argv[1]))
