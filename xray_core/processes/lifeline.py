"""Run a command that the system kills together with the process that asked.

`python -m xray_core.processes.lifeline PID COMMAND...`

A service that is killed itself can stop nothing any more. Linux alone offers this; elsewhere the command is just run.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the system kill this process when the one that started it dies; elsewhere than on Linux nothing happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def run_bound(parent: int, command: list[str]) -> None:
    """Become the command; end at once when the parent has died already."""
    die_with_parent()
    if sys.platform == "linux" and os.getppid() != parent:
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606  # no shell: the command is ours


if __name__ == "__main__":
    run_bound(int(sys.argv[1]), sys.argv[2:])
