"""The log of a child process: private, and never larger than a bound."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import BinaryIO

# The log and the part before it: enough for weeks of a quiet service, and for the hours around a fault.
MOST_BYTES = 5 * 2**20


def open_log(path: Path) -> BinaryIO:
    """Open a log for a child to append to, readable by this user alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "ab")


def bound_log(path: Path, *, most_bytes: int = MOST_BYTES) -> bool:
    """Move what a grown log holds to `path.1`, in place of what was there; whether it did.

    Its writers have it open for appending and go on at its new beginning; what they write in just this moment is
    lost. A disk too full for the copy loses the log, not the bound.
    """
    if not path.exists() or path.stat().st_size <= most_bytes:
        return False
    before = path.with_name(f"{path.name}.1")
    try:
        shutil.copyfile(path, before)
        before.chmod(0o600)
    except OSError:
        before.unlink(missing_ok=True)
    os.truncate(path, 0)
    return True
