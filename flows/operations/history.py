"""Prefect's own history in the home: how much of the disk it takes, and free pages given back while the server runs."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows.settings import Settings

_INCREMENTAL = 2
# The server waits for nobody longer than it takes to move so many pages of 4 kB.
_PAGES_AT_ONCE = 500
_WAIT_SECONDS = 30.0
# The server starts after its file is written anew, at some 35 MiB/s, and whoever starts it waits for three minutes.
MOST_AT_A_START_MIB = 500


@dataclass(frozen=True, slots=True)
class History:
    """What Prefect has written down: bytes of its database, how many of them are free, and flow runs in it.

    One that `shrinks` gives free bytes back to the disk.
    """

    size: int
    free: int
    runs: int
    shrinks: bool

    @property
    def is_stuck(self) -> bool:
        """Whether it keeps what it has taken of the disk until somebody deletes it."""
        return not self.shrinks and self.size > MOST_AT_A_START_MIB * 2**20


def find_history(settings: Settings) -> Path | None:
    """The SQLite file of this home's Prefect server; None before its first start or with another database."""
    file = settings.home / "prefect" / "prefect.db"
    return file if file.is_file() and file.stat().st_size else None


def measure_history(file: Path) -> History:
    """Ask the file, changing nothing. Raises sqlite3.Error where it does not answer."""
    with _open(file, mode="ro") as database:
        page = _ask(database, "PRAGMA page_size")
        free = _ask(database, "PRAGMA freelist_count")
        runs = _ask(database, "SELECT count(*) FROM flow_run")
        return History(file.stat().st_size, page * free, runs, _ask(database, "PRAGMA auto_vacuum") == _INCREMENTAL)


def make_shrinkable(file: Path) -> bool:
    """Have the file give free pages back when it is asked: a new one at once, one of before is written anew for it.

    False, and nothing is done, where that would take minutes. To be called while no server runs. Raises sqlite3.Error
    where the disk has no room for it.
    """
    with _open(file, mode="rwc") as database:
        if _ask(database, "PRAGMA auto_vacuum") != _INCREMENTAL:
            if file.stat().st_size > MOST_AT_A_START_MIB * 2**20:
                return False
            database.execute(f"PRAGMA auto_vacuum={_INCREMENTAL}")
            database.execute("VACUUM")
    return True


def give_back(file: Path) -> int:
    """Cut the free pages off the file, some at a time, for a server is at work on it; how many bytes those were.

    Raises sqlite3.Error where the server keeps the file for too long.
    """
    with _open(file, mode="rw") as database:
        before = _ask(database, "PRAGMA freelist_count")
        for _ in range(0, before, _PAGES_AT_ONCE):
            # As a script, which is stepped to its end: a statement moves one page a step, and `execute` takes one step.
            database.executescript(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})")
            time.sleep(0.05)
        database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        return (before - _ask(database, "PRAGMA freelist_count")) * _ask(database, "PRAGMA page_size")


@contextmanager
def _open(file: Path, *, mode: str) -> Iterator[sqlite3.Connection]:
    address = f"{file.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(address, timeout=_WAIT_SECONDS, uri=True, isolation_level=None)) as database:
        yield database


def _ask(database: sqlite3.Connection, question: str) -> int:
    return int(database.execute(question).fetchone()[0])
