"""How long a test waits before it gives up: what a quiet machine needs, times how busy this one is."""

from __future__ import annotations

import os


def here(seconds: float) -> float:
    """So many seconds of a quiet machine, on this machine now: longer by as much as work waits for its processors."""
    return seconds * (1 + os.getloadavg()[0] / (os.cpu_count() or 1))
