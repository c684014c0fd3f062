"""Processes to measure in: a warm one that is asked again and again, and cold ones."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress

import psutil

from flows.settings import CHECKOUT, Settings

_LOOK_SECONDS = 0.01
_SUBREAPER = 36


def open_warm_process() -> ProcessPoolExecutor:
    """A process of its own that keeps what it has imported and loaded; what libraries print in it is dropped."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_drop_output)


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment of a command that works in this home; files settle at once."""
    given = {"XRAY_HOME": str(settings.home), "XRAY_SETTLE_SECONDS": "0", "TF_CPP_MIN_LOG_LEVEL": "2"}
    if settings.incoming is not None:
        given["XRAY_INCOMING"] = str(settings.incoming)
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | given


def run_cold(arguments: list[str], environment: dict[str, str]) -> float:
    """Seconds of wall from the start of `python -m ...` to its end."""
    started = time.perf_counter()
    run_program(arguments, environment)
    return time.perf_counter() - started


def run_program(arguments: list[str], environment: dict[str, str]) -> str:
    """What `python -m ...` prints. Raises RuntimeError, with its last words, when it fails."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed: {done.stderr[-2000:]}")
    return done.stdout


def run_together(arguments: list[str], environment: dict[str, str], count: int) -> float:
    """Seconds of wall until `count` processes of the same command, started together, have ended."""
    started = time.perf_counter()
    command = [sys.executable, "-m", *arguments]
    running = [
        subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=subprocess.DEVNULL) for _ in range(count)
    ]
    exit_codes = [process.wait() for process in running]
    if any(exit_codes):
        raise RuntimeError(f"{' '.join(arguments)} failed")
    return time.perf_counter() - started


def peak_megabytes(arguments: list[str], environment: dict[str, str]) -> float:
    """The most memory that a command and everything it started had at one time: the sum of their resident sizes.

    What they share counts once for each of them, so the truth is rather less.
    """
    with subprocess.Popen(
        [sys.executable, "-m", *arguments], cwd=CHECKOUT, env=environment, stdout=subprocess.DEVNULL
    ) as process:
        root, peak = psutil.Process(process.pid), 0
        while process.poll() is None:
            peak = max(peak, _resident_bytes(root))
            time.sleep(_LOOK_SECONDS)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed with exit code {process.returncode}")
    return peak / 1e6


def adopt_orphans() -> None:
    """Whoever a program leaves behind comes to us as it ends, so that what it used is counted."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def reap(children: set[int]) -> None:
    """Wait for what programs left behind, and for what that leaves behind; not for these children."""
    while left := {child.pid for child in psutil.Process().children()} - children:
        for pid in left:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def seconds_of_children() -> float:
    """Processor seconds of all children that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def processor_seconds() -> tuple[float, float]:
    """Processor seconds that the whole machine, and this process with all it ever started, have used so far."""
    machine = psutil.cpu_times()
    own = psutil.Process()
    family = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    ours = sum(times.user + times.system + times.children_user + times.children_system for times in family)
    return machine.user + machine.nice + machine.system, ours


def _resident_bytes(root: psutil.Process) -> int:
    total = 0
    try:
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in family:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _drop_output() -> None:
    """TensorFlow chats on one stream, ImageDataGenerator on the other: JSON for a program must stand alone."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)
    os.close(null)
