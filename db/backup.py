"""A copy of the database that is whole, made while the service runs."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from db.registry.tables import TrainingRunRow
from db.scoring.tables import IncomingFileRow


def backup_database(engine: Engine, target: Path) -> None:
    """Copy a SQLite database into `target` (0600) as of one moment; written aside and renamed when whole.

    Raises OSError when the copy fails: the disk is full.
    """
    assert engine.url.database is not None
    aside = target.with_name(f".{target.name}.part")
    aside.unlink(missing_ok=True)
    os.close(os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with (
            closing(sqlite3.connect(engine.url.database, timeout=30)) as source,
            closing(sqlite3.connect(aside)) as copy,
        ):
            source.backup(copy)  # all pages in one step: a writer cannot make it start again
        _sync(aside)
        aside.replace(target)
        _sync(target.parent)
    except sqlite3.OperationalError as error:
        raise OSError(f"{target}: the copy stopped: {error}") from error
    finally:
        aside.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def release_claims(session: Session) -> None:
    """Give back what scanners and trainings held when a backup was made: none of them lives in the home made of it."""
    for row in (IncomingFileRow, TrainingRunRow):
        session.execute(update(row).where(row.claimed_by.is_not(None)).values(claimed_by=None, claimed_until=None))
