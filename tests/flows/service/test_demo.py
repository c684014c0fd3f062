"""`xray demo` as a newcomer runs it: the whole loop, to its verdict, whatever the machine has to do besides."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flows.settings import CHECKOUT
from xray_core.records import RESEARCH_USE

pytestmark = [pytest.mark.prefect, pytest.mark.keras, pytest.mark.slow, pytest.mark.timeout(1800)]

STEPS = (
    "the first champion stands in",
    "new X-rays arrived in",
    "a run of score-incoming that the watcher started has scored",
    "the results CSV is",
    "a run of import-labels took in",
    "verdict on 0002-seed_cnn",
    "the flow runs, as they stand in the Prefect UI",
    RESEARCH_USE,
)


def test_the_demo_walks_the_whole_loop_and_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flows", "demo", "--keep", str(tmp_path / "demo")]

    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    places = [done.stdout.find(step) for step in STEPS]
    assert -1 not in places
    assert places == sorted(places)
    assert list((tmp_path / "demo" / "home" / "models" / "0002-seed_cnn").glob("*.png"))
