"""The whole life of a service in a few minutes: `make soak`, SOAK_MINUTES (10) long; 120 for a release."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import numpy as np
import psutil
import pytest

from db.incoming_files import count_states
from flows.backup import back_up, restore
from flows.exports import write_export
from flows.settings import Settings
from flows.verification import find_breach
from tests.faults.arrivals import WRITERS, draw_file
from tests.faults.scanners import hash_files, kill_after, read_states, scored_contents, start, start_scan
from tests.faults.test_arrivals import wait_for_retries
from tests.flows.test_scan import scan
from xray_core.records import FileState
from xray_core.sample_xrays import write_sample_set

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]

_ARRIVAL_SECONDS = 1.0
_SCAN_SECONDS = 1.0
_KILL_SECONDS = 30.0
_CHECK_SECONDS = 60.0


@dataclass(slots=True)
class Soak:
    """What happened so far; `stop` ends everything, and the first breach does so too."""

    settings: Settings
    stop: threading.Event = field(default_factory=threading.Event)
    counts: Counter[str] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)
    memory_mib: list[int] = field(default_factory=list)

    def repeat(self, every: float, work: Callable[[], None]) -> None:
        """Do something again and again until the end; what it raises is a breach."""
        try:
            while not self.stop.wait(every):
                work()
        except BaseException as error:
            self.breaches.append(f"{work.__name__}: {type(error).__name__}: {error}")
            self.stop.set()
            raise


def test_nothing_is_lost_nothing_is_twice_and_no_partial_file_is_scored(
    settings: Settings, sqlite_home: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_SETTLE_SECONDS", "0.5")
    seconds = 60 * float(os.environ.get("SOAK_MINUTES", "10"))
    soak = Soak(settings.model_copy(update={"settle_seconds": 0.5}))
    arrivals, scanning = Arrivals(soak), Scanning(soak)
    trainer = threading.Timer(seconds / 4, lambda: retrain(soak, tmp_path))
    trainer.start()
    with ThreadPoolExecutor(8) as pool:
        pool.submit(soak.repeat, _ARRIVAL_SECONDS, arrivals.send)
        pool.submit(soak.repeat, _SCAN_SECONDS, scanning.run)
        pool.submit(soak.repeat, 5.0, lambda: export(soak, tmp_path))
        pool.submit(soak.repeat, _CHECK_SECONDS, lambda: check(soak, tmp_path))
        soak.stop.wait(seconds)
        soak.stop.set()
    trainer.join()
    arrivals.finish()
    scan(soak.settings)
    wait_for_retries(soak.settings)

    files, contents = hash_files(settings.incoming_dir), scored_contents(settings)
    states = Counter(state.value for state in read_states(settings).values())
    lost = len(set(files) - set(contents))
    partial = len(set(contents) - set(files))
    print(f"\n{seconds / 60:g} minutes: {arrivals.sent} arrivals, {len(contents)} results, {states}")
    print(f"duplicates {len(contents) - len(set(contents))}, losses {lost}, partial files {partial}")
    print(", ".join(f"{count} {what}" for what, count in sorted(soak.counts.items())))
    print(f"scanner's memory, MiB: {describe(soak.memory_mib)}; database {database_kib(settings)} KiB")
    assert soak.breaches == []
    assert (len(contents) - len(set(contents)), lost, partial) == (0, 0, 0)
    assert arrivals.sent == len(files)
    assert set(states) == {FileState.SCORED.value}
    assert find_breach(settings)[0] is None
    assert soak.counts["trainings"] == 1
    assert soak.counts["kills"] >= int(seconds // (2 * _KILL_SECONDS))
