"""The whole life of a service in a few minutes: `make soak`, SOAK_MINUTES (10) long; 120 for a release."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import pytest

from db.records import TrainingState
from flows.home.backup import back_up, restore
from flows.operations.verification import find_breach
from flows.review.exports import write_export
from flows.settings import Settings
from tests.faults.arrivals import WRITERS, draw_file
from tests.faults.scanners import (
    hash_files,
    kill_after,
    read_states,
    scored_contents,
    start,
    start_scan,
    start_working_scan,
)
from tests.faults.test_arrivals import wait_for_retries
from tests.faults.test_kills import read_training
from tests.flows.scoring.test_scan import scan
from xray_core.records import FileState
from xray_core.synthetic.xrays import write_sample_set

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]

_ARRIVAL_SECONDS = 1.0
_SCAN_SECONDS = 1.0
_KILL_SECONDS = 30.0
_EXPORT_SECONDS = 5.0
_BACKUP_SECONDS = 60.0
_SAMPLE_SECONDS = 2.0


class Sample(NamedTuple):
    """One look at a process: seconds since the start, resident MiB, open files."""

    seconds: float
    mib: float
    files: int


class Soak:
    """Everything that goes on at once in one home, and what was counted of it."""

    def __init__(self, settings: Settings, work: Path) -> None:
        self.settings = settings
        self.counts: Counter[str] = Counter()
        self.scanner_mib: list[float] = []
        self.samples: list[Sample] = []
        self._work = work
        self._stop = threading.Event()
        self._chance = random.Random(11)
        self._rng = np.random.default_rng(11)
        self._writing: list[Future[None]] = []
        self._started_at = self._killed_at = time.monotonic()
        self._rows = 0

    def run(self, seconds: float) -> None:
        """All of it for so long; the first thing that goes wrong ends it and is raised."""
        with ThreadPoolExecutor(16) as self._writers, ThreadPoolExecutor(6) as pool:
            repeated = {
                self.send: _ARRIVAL_SECONDS,
                self.scan: _SCAN_SECONDS,
                self.export: _EXPORT_SECONDS,
                self.back_up: _BACKUP_SECONDS,
                self.sample: _SAMPLE_SECONDS,
            }
            tasks = [pool.submit(self._repeat, work, every) for work, every in repeated.items()]
            tasks.append(pool.submit(self._train_once, seconds / 4))
            self._stop.wait(seconds)
            self._stop.set()
            for task in tasks:
                task.result()
            wait(self._writing)

    def send(self) -> None:
        """Another file, by the next kind of writer, PNG and JPEG in turn."""
        number = self.counts["arrivals"]
        ending = (".png", ".jpg")[number // 4 % 2]
        path = self.settings.incoming_dir / f"arrival-{number:06d}{ending}"
        writer = WRITERS[number % 4]
        self._writing.append(self._writers.submit(writer, path, draw_file(self._rng, ending), pause=0.2))
        self.counts["arrivals"] += 1

    def scan(self) -> None:
        """One scan in a process of its own; every half minute one that is at work is killed."""
        if time.monotonic() - self._killed_at > _KILL_SECONDS:
            if kill_after(start_working_scan(self.settings), self._chance.uniform(0, 0.8)):
                self.counts["kills"] += 1
                self._killed_at = time.monotonic()
            return
        scanner = start_scan()
        largest = 0.0
        while scanner.poll() is None:
            largest = max(largest, _resident_mib(scanner.pid))
            time.sleep(0.05)
        assert scanner.returncode == 0
        self.scanner_mib.append(largest)
        self.counts["scans"] += 1

    def export(self) -> None:
        """A CSV that is what its manifest says, and never shorter than the one before."""
        summary = write_export(self.settings, out=self._work / "results.csv")
        assert hashlib.sha256(summary.path.read_bytes()).hexdigest() == summary.sha256
        assert summary.rows >= self._rows
        self._rows = summary.rows
        self.counts["exports"] += 1

    def back_up(self) -> None:
        """A backup of the home at work, restored, verified and thrown away; and the home itself verified."""
        back_up(self.settings, self._work / "backup")
        restored = Settings(home=self._work / "restored", incoming=self.settings.incoming_dir)
        restore(restored, self._work / "backup")
        assert find_breach(restored)[0] is None
        assert find_breach(self.settings)[0] is None
        shutil.rmtree(self._work / "backup")
        shutil.rmtree(restored.home)
        self.counts["backups restored and verified"] += 1

    def sample(self) -> None:
        """What this process, in which exports and backups go on and on, holds of memory and of open files."""
        process = psutil.Process()
        seconds = time.monotonic() - self._started_at
        self.samples.append(Sample(seconds, _resident_mib(process.pid), process.num_fds()))

    def _train_once(self, after: float) -> None:
        """A training beside the champion, through the gate, while everything else goes on."""
        if self._stop.wait(after):
            return
        write_sample_set(self._work / "dataset", per_class=40, patients=30, seed=3)
        said = self._work / "training.txt"
        patients = ("--patients", str(self._work / "dataset" / "patients.csv"))
        arguments = ("train", str(self._work / "dataset"), *patients, "--epochs", "3", "--input-size", "48")
        trainer = start("flows", *arguments, said=said)
        assert trainer.wait(600) == 0, said.read_text()
        self.counts["trainings"] += 1

    def _repeat(self, work: Callable[[], None], every: float) -> None:
        try:
            while not self._stop.wait(every):
                work()
        finally:
            self._stop.set()  # one that failed ends all


def test_nothing_is_lost_nothing_is_twice_and_no_partial_file_is_scored(
    settings: Settings, sqlite_home: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_SETTLE_SECONDS", "0.5")
    seconds = 60 * float(os.environ.get("SOAK_MINUTES", "10"))
    soak = Soak(settings.but({"settle_seconds": 0.5}), tmp_path)

    soak.run(seconds)
    scan(soak.settings)
    wait_for_retries(soak.settings)

    files, contents = hash_files(settings.incoming_dir), scored_contents(settings)
    states = Counter(state.value for state in read_states(settings).values())
    duplicates = len(contents) - len(set(contents))
    lost, partial = len(set(files) - set(contents)), len(set(contents) - set(files))
    print(f"\n{seconds / 60:g} minutes: {soak.counts['arrivals']} arrivals, {len(contents)} results, {dict(states)}")
    print(f"{duplicates} duplicates, {lost} losses, {partial} partial files")
    print(", ".join(f"{count} {what}" for what, count in sorted(soak.counts.items())))
    warm = soak.samples[len(soak.samples) // 2 :]
    print(f"memory: {_tell_mib('a scanner', soak.scanner_mib)}")
    print(f"memory: {_tell_mib('this process', [sample.mib for sample in soak.samples])}")
    print(f"memory of this process in the second half: {_slope(warm):+.1f} MiB an hour")
    print(f"open files: {soak.samples[0].files} at first, {warm[0].files} halfway, {warm[-1].files} at last")
    print(f"database: {(settings.home / 'xray.db').stat().st_size // 1024} KiB")
    assert (duplicates, lost, partial) == (0, 0, 0)
    assert soak.counts["arrivals"] == len(files) >= seconds / _ARRIVAL_SECONDS * 0.8
    assert set(states) == {FileState.SCORED.value}
    assert find_breach(settings)[0] is None
    assert read_training(settings) is TrainingState.FINISHED
    assert soak.counts["kills"] >= max(1, seconds // (1.5 * _KILL_SECONDS))
    assert soak.counts["backups restored and verified"] >= seconds // (2 * _BACKUP_SECONDS)
    assert statistics.median(sample.files for sample in warm[-10:]) <= max(sample.files for sample in warm[:-10]) + 2


def _resident_mib(pid: int) -> float:
    try:
        return float(psutil.Process(pid).memory_info().rss) / 2**20
    except psutil.NoSuchProcess:
        return 0


def _tell_mib(who: str, mib: list[float]) -> str:
    """The middle of the first and of the last tenth."""
    part = max(1, len(mib) // 10)
    first, last = statistics.median(mib[:part]), statistics.median(mib[-part:])
    return f"{who} {first:.0f} MiB at first, {last:.0f} MiB at last"


def _slope(samples: list[Sample]) -> float:
    """MiB an hour, by least squares."""
    return statistics.linear_regression([s.seconds for s in samples], [s.mib for s in samples]).slope * 3600
