"""A command of ours, killed before each of its commits and renames in turn, and how many kills that was."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable

from flows.operations.verification import find_breach
from flows.settings import Settings
from tests.forked import run_forked

# The kills of every test of this run, by its name.
KILLS: Counter[str] = Counter()


def kill_at_steps(
    settings: Settings,
    arguments: Callable[[int], tuple[str, ...]],
    *,
    every: int = 1,
    first: int = 0,
    done_before: str | None = None,
) -> int:
    """Run a command again and again, each time killed some steps later, until one run ends by itself; the kills.

    After each of them everything must verify. `done_before` is what a run says whose work a killed one had finished but
    for its last words.
    """
    for kills, step in enumerate(range(first, 200, every)):
        done = run_until(step, *arguments(kills))
        if (settings.home / "xray.db").exists() or settings.database_url:
            breach, _ = find_breach(settings)
            assert breach is None, breach
        if done.returncode == 0 or (done_before and done_before in done.stderr):
            count_kills(kills)
            return kills
        assert done.returncode == -signal.SIGKILL, done.stderr
    raise AssertionError("still killed at step 200")


def run_until(step: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that dies before so many of its steps."""
    return run_forked("tests.faults.programs", "run_until", str(step), *arguments)


def count_kills(kills: int) -> None:
    """Add them to this test's, and say how many there were in this run."""
    KILLS[os.environ["PYTEST_CURRENT_TEST"].partition(" ")[0]] += kills
    print(f"{kills} kills, {KILLS.total()} in this run")
