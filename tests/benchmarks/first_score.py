"""The case of the first score: one film in a cold process, and where the start of that process goes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil

from flows.settings import CHECKOUT, Settings
from tests.benchmarks import peers
from tests.benchmarks.measurement import Measurement, alternate, at_most
from tests.benchmarks.pictures import write_incoming
from tests.benchmarks.processes import adopt_orphans, environment_of, reap, seconds_of_children
from tests.benchmarks.workshop import Workshop

_PARTS = 10
# 0.6 of what 336e0ae takes beside the same peer (docs/speed.md).
_MOST = 31.0


def score_first(shop: Workshop) -> Iterator[Measurement]:
    """Processor time of a cold `xray scan` of one film, against a bare start of Python and that film in a warm one.

    Of the scan everything counts that it starts. What it imports is told beside, largest first.
    """
    adopt_orphans()
    film = shop.new_path("one")
    write_incoming(film, 1, tiny=shop.sizes.tiny)

    def scan(_: int) -> float:
        settings = _home_with(shop, film)
        return _count(["-m", "flows", "scan"], environment_of(settings))

    def peer(_: int) -> float:
        rate = shop.peer.submit(peers.measure_processor_rate, str(film), shop.onnx_file, draft=True, rust=True)
        return _count(["-c", "pass"], dict(os.environ)) + 1 / rate.result()

    for warm_up in (scan, peer):
        warm_up(-1)
    ours, theirs = alternate(shop.sizes.rounds, scan, peer)
    print(f"  {_tell_imports(shop, film)}", file=sys.stderr, flush=True)
    what = "the first score, processor time"
    yield Measurement(what, "python -c pass, decode, infer", "s", ours, theirs, at_most(_MOST))


def _home_with(shop: Workshop, film: Path) -> Settings:
    settings = shop.fresh_home()
    for path in film.iterdir():
        shutil.copy(path, settings.incoming_dir)
    return settings


def _count(arguments: list[str], environment: dict[str, str]) -> float:
    """Processor seconds of a Python program and of all that it started; raises RuntimeError when it fails."""
    ours = {child.pid for child in psutil.Process().children()}
    before = seconds_of_children()
    subprocess.run([sys.executable, *arguments], cwd=CHECKOUT, env=environment, check=True, stdout=subprocess.DEVNULL)
    reap(ours)
    return seconds_of_children() - before


def _tell_imports(shop: Workshop, film: Path) -> str:
    """Milliseconds that a scan's own process imports, by package, as `python -X importtime` has them.

    Of each module the shortest of some scans: on a busy machine a module waits as well.
    """
    shortest: dict[str, int] = {}
    for _ in range(shop.sizes.rounds):
        for module, taken in _time_imports(_home_with(shop, film)):
            shortest[module] = min(taken, shortest.get(module, taken))
    spent: Counter[str] = Counter()
    for module, taken in shortest.items():
        spent[module.partition(".")[0]] += taken
    parts = [f"{package} {taken / 1000:.0f}" for package, taken in spent.most_common(_PARTS)]
    return f"imports, ms: {', '.join(parts)}; all {len(shortest)} modules {spent.total() / 1000:.0f}"


def _time_imports(settings: Settings) -> Iterator[tuple[str, int]]:
    """Every module that a scan imports, and the microseconds that it took by itself."""
    program = "import runpy, sys\nsys.argv = ['xray', 'scan']\nrunpy.run_module('flows', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program],
        cwd=CHECKOUT,
        env=environment_of(settings),
        check=True,
        capture_output=True,
        text=True,
    )
    for line in done.stderr.splitlines():
        taken, _, module = line.removeprefix("import time:").split("|")
        if taken.strip().isdecimal():
            yield module.strip(), int(taken)
