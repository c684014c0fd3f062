"""A lock that lives as long as its process: how one scanner knows that another has died."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold_scanner_lock(run_dir: Path) -> Iterator[str]:
    """Hold a lock under a fresh name `host.token` and yield that name; the kernel drops it with the process."""
    scanner = f"{socket.gethostname()}.{secrets.token_hex(8)}"
    path = _lock_path(run_dir, scanner)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield scanner
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def is_scanner_alive(run_dir: Path, scanner: str) -> bool:
    """Whether the named process still runs. One on another host cannot be asked: its lease decides, so True."""
    if scanner.rpartition(".")[0] != socket.gethostname():
        return True
    path = _lock_path(run_dir, scanner)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        path.unlink(missing_ok=True)  # its process died without tidying up
        return False
    finally:
        os.close(descriptor)


def _lock_path(run_dir: Path, scanner: str) -> Path:
    return run_dir / f"{scanner}.lock"
