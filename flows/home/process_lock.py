"""A lock that lives as long as its process: how one scanner knows that another has died."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xray_core.exchange.atomic_file import write_whole

_FOLDER_FILE = "folder.id"
# Longer than any lease: until then somebody may ask for the dead.
_KEPT_SECONDS = 2 * 86_400


@contextmanager
def hold_scanner_lock(run_dir: Path) -> Iterator[str]:
    """Hold a lock under a fresh name `host.folder.token` and yield that name; the kernel drops it with the process.

    `folder` is the run folder's own: two homes of one host, or on one database, are never taken for each other.
    """
    _remove_old_locks(run_dir)
    scanner = f"{socket.gethostname()}.{_name_folder(run_dir)}.{secrets.token_hex(8)}"
    path = _lock_path(run_dir, scanner)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield scanner
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def is_scanner_alive(run_dir: Path, scanner: str) -> bool:
    """Whether the named process still runs; changes nothing.

    A lock in our own run folder is asked, whatever the host was called when it was taken: a container has a new name
    after every start. A scanner of this folder without a lock has ended. One of any other folder cannot be asked:
    its lease decides, so True.
    """
    held = _is_held(_lock_path(run_dir, scanner))
    return held if held is not None else _folder_of(scanner) != _read_folder_name(run_dir)


def _is_held(path: Path) -> bool | None:
    """Whether a living process holds a lock; None where there is no such lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _name_folder(run_dir: Path) -> str:
    """The folder's own name, made on the first call; a copied folder gets another one."""
    known = _read_folder_name(run_dir)
    if known is not None:
        return known
    name = secrets.token_hex(4)
    write_whole(run_dir / _FOLDER_FILE, f"{name} {run_dir.stat().st_ino}\n".encode())
    return name


def _read_folder_name(run_dir: Path) -> str | None:
    try:
        words = (run_dir / _FOLDER_FILE).read_text().split()
    except FileNotFoundError:
        return None
    return words[0] if words[1:] == [str(run_dir.stat().st_ino)] else None


def _folder_of(scanner: str) -> str:
    return (["", *scanner.rsplit(".", 2)])[-2]


def _remove_old_locks(run_dir: Path) -> None:
    """Those that killed processes left long ago."""
    oldest = time.time() - _KEPT_SECONDS
    for path in run_dir.glob("*.lock"):
        with suppress(FileNotFoundError):  # another one removes them too
            if path.stat().st_mtime < oldest and _is_held(path) is False:
                path.unlink()


def _lock_path(run_dir: Path, scanner: str) -> Path:
    return run_dir / f"{scanner}.lock"
