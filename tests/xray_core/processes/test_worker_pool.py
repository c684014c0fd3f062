from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.faults.scanners import wait_until
from tests.patience import here
from xray_core.processes.fork_server import start_fork_server
from xray_core.processes.records import CallFailed, ProcessLost
from xray_core.processes.worker_pool import WorkerPool

pytestmark = pytest.mark.processes


def say_who(*_: object) -> int:
    return os.getpid()


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def raise_what_quotes_a_file(name: str) -> None:
    raise {"KeyError": KeyError, "MemoryError": MemoryError}[name]("ZZCANARY")


def measure(content: bytes) -> tuple[int, bytes]:
    return len(content), content


@contextmanager
def open_pool(workers: int = 1, *, calls_per_life: int = 100) -> Iterator[WorkerPool]:
    start_fork_server()
    pool = WorkerPool(workers, os.nice, (1,), calls_per_life=calls_per_life)
    try:
        yield pool
    finally:
        pool.close()


def test_calls_are_answered_by_processes_that_are_gone_at_the_end() -> None:
    with open_pool(2) as pool:
        processes = {pool.schedule(say_who, (), seconds=here(60)).result() for _ in range(20)}
        assert 1 <= len(processes) <= 2

    assert not any(psutil.pid_exists(process) for process in processes)


def be_ready_unless_second(folder: str) -> None:
    """The first process is ready at once, the second as soon as it is told."""
    try:
        Path(folder, "first").touch(exist_ok=False)
    except FileExistsError:
        while not Path(folder, "told").exists():
            time.sleep(0.01)


def stay_at_work(folder: str) -> None:
    Path(folder, "at work").touch()
    time.sleep(600)


def test_no_process_gets_a_second_call_while_another_has_none(tmp_path: Path) -> None:
    start_fork_server()
    pool = WorkerPool(2, be_ready_unless_second, (str(tmp_path),), calls_per_life=100)
    pool.schedule(stay_at_work, (str(tmp_path),), seconds=here(120))
    quick = pool.schedule(say_who, (), seconds=here(60))
    wait_until((tmp_path / "at work").exists, seconds=30)

    (tmp_path / "told").touch()

    assert quick.result(timeout=here(20)) > 0
    pool.close()


def test_a_process_is_replaced_after_its_calls() -> None:
    with open_pool(calls_per_life=3) as pool:
        calls = [pool.schedule(say_who, (), seconds=here(60)) for _ in range(7)]
        processes = [call.result() for call in calls]

    assert [processes.count(process) for process in dict.fromkeys(processes)] == [3, 3, 1]


def test_a_process_that_dies_costs_the_call_at_work_and_not_the_next_one() -> None:
    with open_pool() as pool:
        lost, kept = (
            pool.schedule(die, (signal.SIGKILL,), seconds=here(60)),
            pool.schedule(say_who, (), seconds=here(60)),
        )

        failure = lost.exception()
        assert isinstance(failure, ProcessLost)
        assert failure.exitcode == -signal.SIGKILL
        assert kept.result() > 0


def test_a_call_that_takes_too_long_is_ended_and_not_the_next_one() -> None:
    with open_pool() as pool:
        late, kept = pool.schedule(time.sleep, (600,), seconds=0.2), pool.schedule(say_who, (), seconds=here(60))

        assert isinstance(late.exception(), TimeoutError)
        assert kept.result() > 0


@pytest.mark.parametrize(("name", "kind"), [("KeyError", CallFailed), ("MemoryError", MemoryError)])
def test_of_what_a_call_raises_the_type_alone_is_told(name: str, kind: type[Exception]) -> None:
    with open_pool() as pool:
        failure = pool.schedule(raise_what_quotes_a_file, (name,), seconds=here(60)).exception()

    assert isinstance(failure, kind)
    assert "ZZCANARY" not in str(failure)


def test_calls_and_answers_larger_than_a_pipe_come_through() -> None:
    contents = [bytes([number]) * 3_000_000 for number in range(6)]

    with open_pool(2) as pool:
        calls = [pool.schedule(measure, (content,), seconds=here(60)) for content in contents]
        assert [call.result() for call in calls] == [(3_000_000, content) for content in contents]


def test_who_waits_hears_that_no_process_gets_ready() -> None:
    start_fork_server()
    pool = WorkerPool(1, die, (signal.SIGKILL,), calls_per_life=1)

    with pytest.raises(BrokenProcessPool):
        pool.schedule(say_who, (), seconds=here(60)).result()
    assert not pool.is_standing
    with pytest.raises(BrokenProcessPool):
        pool.schedule(say_who, (), seconds=here(60))
    pool.close()


def test_a_pool_that_is_closed_ends_what_is_at_work_and_tells_who_waits() -> None:
    with open_pool() as pool:
        calls = [pool.schedule(time.sleep, (600,), seconds=here(60)) for _ in range(3)]
        pool.schedule(measure, (b"x" * 3_000_000,), seconds=here(60))

    assert all(isinstance(call.exception(), BrokenProcessPool) for call in calls)
