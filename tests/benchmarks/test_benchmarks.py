"""The benchmarks run: every row of the table is measured, on tiny sizes. Never how fast."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest

from flows.settings import CHECKOUT
from tests.benchmarks.years.commands import COMMANDS

pytestmark = [pytest.mark.prefect, pytest.mark.timeout(1800)]

# The cases without peers and trainings: a minute less than all.
LIGHT = ("few-cold", "first-score", "rescan", "export", "verify", "sealing")
ROWS = {
    "scoring 8, warm": 6,
    "scoring 4, cold": 1,
    "the first score, processor time": 1,
    "scoring 8, two processes": 1,
    "a scheduled run that finds nothing": 1,
    "an idle hour, processor time": 1,
    "rescan of 100 known files": 1,
    "rescan of 300, each 3th part": 1,
    "memory of a scan, 300 known": 2,
    "export of 100 results": 1,
    "key to next film painted, 95th percentile": 1,
    "memory of that export": 1,
    "seals of 100 results": 1,
    "scan of 8 small films, sealed": 1,
    **{f"{command.name}, 200 films": 1 for command in COMMANDS if command.is_constant or command.is_bounded},
    "the same four, memory": 1,
    "seals of every row of it": 1,
    "ledger of 200 films, each": 1,
    "training, 1 epochs on 80 X-rays": 1,
    "AUC of that on 24 held-out X-rays": 1,
    "AUC of that, 5 parts of 80 X-rays held out in turn": 1,
    "one retraining, cold to verdict": 1,
    "retraining of 140 films, 40 of them new, beside the fit": 1,
    "retraining of 140 films, 40 of them new, beside the fit, processor time": 1,
    "memory of its process": 1,
}


@pytest.mark.slow
def test_the_cases_that_need_no_training_are_measured() -> None:
    measured = measure(*(f"--only={case}" for case in LIGHT))

    assert {one["what"] for one in measured} < ROWS.keys()
    assert len(measured) >= len(LIGHT)


@pytest.mark.slow
def test_every_row_of_the_table_is_measured() -> None:
    measured = measure()

    names = [one["what"] for one in measured if "the worst of" not in one["what"]]  # which one is worst, chance says
    assert len(measured) == len(names) + 2
    assert {name: names.count(name) for name in names} == ROWS


def measure(*arguments: str) -> list[dict[str, Any]]:
    """Run the benchmarks on tiny sizes; every row, each with figures that are numbers."""
    command = [sys.executable, "-m", "tests.benchmarks", "--tiny", "--json", *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    measured: list[dict[str, Any]] = json.loads(done.stdout)["measurements"]
    assert all(math.isfinite(one["ratio"]) and one["service"] for one in measured)
    return measured
