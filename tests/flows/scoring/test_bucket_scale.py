"""What a large bucket costs who lists it, and 500 films of one scored: once each, though a scan is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.operations.verification import find_breach
from flows.settings import Settings
from tests.buckets import OwnBucket, environment_of, running_server
from tests.factories import write_xray
from tests.faults.scanners import wait_until
from tests.flows.scoring.test_scan import count_results, scan

_LIST = """
import sys, time
from xray_core.stores.bucket import open_bucket

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

before, started = peak(), time.process_time()
pages = list(map(len, open_bucket("s3://many/in").list_pages()))
print(sum(pages), time.process_time() - started, (peak() - before) / 1024)
"""


@pytest.mark.lengthy
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("many", [5_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_thousands_of_keys_are_listed_in_a_second_of_processor_time_and_40_mb(many: int) -> None:
    with running_server(keys=many) as server:
        environment = os.environ | environment_of(server)
        done = subprocess.run(
            [sys.executable, "-c", _LIST], env=environment, capture_output=True, text=True, check=True
        )

    keys, seconds, mb = map(float, done.stdout.split())
    print(f"{keys:.0f} keys, {seconds:.2f} s of processor time, {mb:.1f} MB")
    assert keys == many
    assert seconds <= 1
    assert mb <= 40


@pytest.mark.lengthy
@pytest.mark.processes
def test_500_films_of_a_bucket_are_scored_once_each_though_the_scan_is_killed(
    settings: Settings, bucket: OwnBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = settings.but({"incoming": bucket.incoming})
    monkeypatch.setenv("XRAY_INCOMING", bucket.incoming)
    for seed in range(500):
        bucket.put(
            f"in/{seed % 7}/film-{seed:03}.png", write_xray(tmp_path / "film.png", seed=seed, size=64).read_bytes()
        )

    first = subprocess.Popen([sys.executable, "-m", "flows", "scan"], stdout=subprocess.DEVNULL)
    wait_until(lambda: count_results(incoming) >= 64 or first.poll() is not None, seconds=120)
    first.send_signal(signal.SIGKILL)
    first.wait()
    scored_by_then = count_results(incoming)
    counts = scan(incoming)

    assert counts.scored + scored_by_then == 500
    assert count_results(incoming) == 500
    assert not counts.rejected + counts.deferred
    assert find_breach(incoming)[0] is None
