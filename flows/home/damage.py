"""A database that is damaged, emptied or not there is said to be, before anybody says that there is nothing new."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DatabaseError, OperationalError

from db.audit import read_kept_head
from db.engine import open_engine, show_url
from flows.settings import Settings
from xray_core.errors import LedgerAltered, NoHome

# The newest entry of the audit log that this home has written, kept outside the database.
HEAD_FILE = "ledger.head"
_ALWAYS_LOOKED_THROUGH = 4 * 2**20
_BYTES_LOOKED_THROUGH_A_SECOND = 100e6
RESTORE = "restore the newest backup into a new home (`xray restore`)"


def refuse_absent_database(settings: Settings) -> None:
    """Raise NoHome where the settings name a SQLite file that is not there: opening it would make an empty one."""
    name, _, path = settings.url.partition(":///")
    if name != "sqlite" or Path(path).exists():
        return
    if settings.database_url is not None and (
        "?" in path or not Path(path).is_absolute() or not Path(path).parent.is_dir()
    ):
        return  # no file could be there: opening it says what is wrong
    raise NoHome(
        f"there is no database at {path}: mend XRAY_DATABASE_URL, or `xray init` makes one there", public=False
    )


def refuse_lost_file(settings: Settings) -> None:
    """Raise LedgerAltered where the home's own database file is gone, and the home has written to it."""
    file = settings.home / "xray.db"
    if settings.database_url is None and (settings.home / HEAD_FILE).exists() and not file.exists():
        raise LedgerAltered(f"{file}: the database is not there, and this home has written to it: {RESTORE}")


def refuse_damage(settings: Settings, engine: Engine) -> None:
    """Raise LedgerAltered for a database file with a damaged page: a scan reads an index, and would not notice.

    A small file is looked through whenever it is opened. A large one so seldom that the looking takes a hundredth of
    the time, and never by somebody who may not note down that it was looked through.
    """
    path = engine.url.database
    if engine.dialect.name != "sqlite" or path is None:
        return
    size, stamp = Path(path).stat().st_size, settings.home / "run" / "ledger-looked-through"
    is_large = size > _ALWAYS_LOOKED_THROUGH
    if is_large and (_was_looked_through(stamp, size) or not os.access(stamp.parent, os.W_OK)):
        return
    if (found := find_damage(engine)) is not None:
        with suppress(OSError):
            stamp.unlink()  # the next start looks again, whoever starts it
        raise LedgerAltered(f"{path}: the database is damaged ({found}): {RESTORE}")
    if is_large:
        with suppress(OSError):
            stamp.touch(mode=0o600)


def refuse_damaged_copy(database: Path) -> None:
    """Raise LedgerAltered where the copy for a backup is damaged: it would be refused when it is needed."""
    engine = open_engine(f"sqlite:///{database}")
    try:
        found = find_damage(engine)
    finally:
        engine.dispose()
    if found is not None:
        raise LedgerAltered(f"the database is damaged ({found}), and so is no backup: {RESTORE}")


def find_damage(engine: Engine) -> str | None:
    """What SQLite says of a damaged page; None where every page can be read, or nobody can be asked."""
    if engine.dialect.name != "sqlite":
        return None
    try:
        with engine.connect() as connection:
            found = str(connection.execute(text("PRAGMA quick_check(1)")).scalar())
    except OperationalError as error:
        if "disk I/O" not in str(error.orig):
            raise  # busy, or it cannot be opened: that is no damage
        found = str(error.orig)
    except DatabaseError as error:
        found = str(error.orig)
    return None if found == "ok" else " ".join(found.split())


def refuse_lost_ledger(settings: Settings, engine: Engine) -> None:
    """Raise LedgerAltered for an empty database that this home has written to: it is what somebody left of it."""
    if _has_tables(engine):
        return  # who may only look need not read what is kept outside
    kept = read_kept_head(settings.home / HEAD_FILE)
    if kept is not None and not _has_tables(engine):  # now that it was read: another may have made the database
        where = engine.url.database if engine.dialect.name == "sqlite" else show_url(engine.url)
        raise LedgerAltered(
            f"{where}: the database is empty, and this home has written {kept[0]} entries into its audit log: {RESTORE}"
        )


def _has_tables(engine: Engine) -> bool:
    return inspect(engine).has_table("alembic_version")


def _was_looked_through(stamp: Path, size: int) -> bool:
    seconds = size / _BYTES_LOOKED_THROUGH_A_SECOND
    return stamp.exists() and 0 <= time.time() - stamp.stat().st_mtime <= 100 * seconds
