"""Opening the results database, and its only two doors: `transaction` to write, `snapshot` to read."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.orm import Session

from db.audit import Anchor, keep_head, with_anchor
from db.schema import HEAD
from db.sealing import seal
from xray_core.errors import RefusedInput, SchemaOutOfDate

# How long anyone waits for another writer before "database is locked".
_BUSY_SECONDS = 30
_WRITES = "xray_writes"


def open_engine(url: str, *, anchor: Anchor | None = None) -> Engine:
    """Open the results database at a SQLAlchemy URL; connects on first use. Without an anchor it can only be read.

    A SQLite file is created private (0600) when it is not there. Raises RefusedInput for a URL that is neither
    a SQLite file nor PostgreSQL.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # a port that is no number
        raise RefusedInput(f"XRAY_DATABASE_URL cannot be read; expected {_EXPECTED_URLS}") from error
    if parsed.drivername == "sqlite":
        return with_anchor(_open_sqlite(parsed), anchor)
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return with_anchor(_open_postgresql(parsed), anchor)
    raise _refuse(parsed)


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """One write transaction, committed at the end of the block, rolled back when it raises.

    Writers take turns from the start on both databases (BEGIN IMMEDIATE; an advisory lock), so what is read
    inside is still true when it is written: SQLAlchemy's own BEGIN lost 177 of 240 updates. What it changes
    in sealed tables is sealed at its end. Raises OperationalError after 30 s of waiting.
    """
    with Session(writing(engine), expire_on_commit=False) as session:
        with session.begin():
            take_turn(session.connection())
            yield session
            seal(session)
        keep_head(session, engine)


@contextmanager
def snapshot(engine: Engine) -> Iterator[Session]:
    """One read transaction: everything read in the block is of one moment, whatever others write meanwhile.

    It cannot write. With SQLite's rollback journal writers wait until the block ends: keep it short.
    """
    options: dict[str, Any] = {}
    if engine.dialect.name == "postgresql":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with Session(engine.execution_options(**options), expire_on_commit=False) as session, session.begin():
        yield session


def check_schema(engine: Engine) -> None:
    """Raise SchemaOutOfDate, naming both revisions and what to do, unless the newest migration has been applied."""
    with engine.connect() as connection:
        found = read_revision(connection)
    if found != HEAD:
        refuse_newer_revision(engine, found)
        raise SchemaOutOfDate(
            f"{show_url(engine.url)}: the database is at revision {found or 'none (it is empty)'}; this "
            f"version of the service needs {HEAD}: stop the service, `xray backup DIR`, then `xray doctor --migrate`"
        )


def is_older(engine: Engine) -> bool:
    """Whether the database waits for a migration."""
    with engine.connect() as connection:
        found = read_revision(connection)
    return found is not None and found < HEAD


def read_revision(connection: Connection) -> str | None:
    """The migration that was applied last; None in an empty database."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def refuse_newer_revision(engine: Engine, found: str | None) -> None:
    """Raise SchemaOutOfDate for a database that a newer version made; revisions are numbers of four digits."""
    if found is not None and found > HEAD:
        raise SchemaOutOfDate(
            f"{show_url(engine.url)}: the database is at revision {found}; this version of the service "
            f"knows nothing beyond {HEAD}: install the newer version again, or `xray restore` a backup of before"
        )


def show_url(url: URL) -> str:
    """A database URL for people: without its password, wherever that stands."""
    return url.set(query={}).render_as_string()


def writing(engine: Engine) -> Engine:
    """The same engine whose transactions may write."""
    return engine.execution_options(**{_WRITES: True})


def take_turn(connection: Connection) -> None:
    """Wait until no other writer is at work, and keep the others waiting until this transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('xray-writer ' || current_schema()))"))


def has_wal_reset_fix(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite cannot lose committed rows when a checkpoint meets a reset of its write-ahead log."""
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


_EXPECTED_URLS = "sqlite:////ABSOLUTE/FILE or postgresql+psycopg://USER@HOST/DATABASE"


def _refuse(url: URL) -> RefusedInput:
    return RefusedInput(f"XRAY_DATABASE_URL: received {show_url(url)}; expected {_EXPECTED_URLS}")


def _open_sqlite(url: URL) -> Engine:
    """A relative file would be another one in every folder, and options would undo what is set below."""
    path = Path(url.database or "")
    if url.query:
        raise RefusedInput(f"XRAY_DATABASE_URL: received options after {path}; expected {_EXPECTED_URLS}")
    if not path.is_absolute() or url.host:
        raise _refuse(url)
    if not path.parent.is_dir():
        raise RefusedInput(f"XRAY_DATABASE_URL: {path.parent} is no folder; expected {_EXPECTED_URLS}")
    if path.exists() and not path.is_file():
        raise RefusedInput(f"XRAY_DATABASE_URL: {path} is no file; expected {_EXPECTED_URLS}")
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
    event.listen(engine, "connect", partial(_set_up_sqlite, may_write=os.access(path, os.W_OK)))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: object, *, may_write: bool) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: Python's sqlite3 says it too late
    journal_mode = "WAL" if has_wal_reset_fix(sqlite3.sqlite_version_info) else "DELETE"
    if may_write:  # who may only read takes the mode that there is
        connection.execute(f"PRAGMA journal_mode={journal_mode}")
    connection.execute("PRAGMA synchronous=FULL")  # a result that was acknowledged is on the disk
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA recursive_triggers=ON")  # so that REPLACE fires the DELETE triggers


def _begin_sqlite(connection: Connection) -> None:
    writes = bool(connection.get_execution_options().get(_WRITES))
    connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _open_postgresql(url: URL) -> Engine:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    try:
        engine = create_engine(url, pool_pre_ping=True)
    except (NoSuchModuleError, ImportError) as error:
        raise RefusedInput(
            f"XRAY_DATABASE_URL: {url.drivername} needs a driver that is not installed; expected {_EXPECTED_URLS}"
        ) from error
    event.listen(engine, "connect", _set_up_postgresql)
    return engine


def _set_up_postgresql(connection: Any, _record: object) -> None:
    connection.execute(f"SET lock_timeout = '{_BUSY_SECONDS}s'")
    connection.commit()
