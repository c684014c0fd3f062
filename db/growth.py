"""What the database takes on the disk, of what, and how fast that grows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine, func, inspect, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from db.scoring.tables import ResultRow

# SQLite's own account of its pages, an index's among those of its table; not every build of SQLite keeps one.
_ON_SQLITE = text(
    "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name "
    "WHERE s.aggregate = TRUE GROUP BY m.tbl_name"
)
_ON_POSTGRESQL = text("SELECT relname, pg_total_relation_size(relid) FROM pg_statio_user_tables")
_PAGES = text(
    "SELECT page_count * page_size, freelist_count * page_size "
    "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
)
# Fewer free pages than this share of a file are soon used again, and not worth writing it anew.
_MUCH = 0.2
# The pace is that of so many films: a day of a large department, years of a small one.
_NEWEST = 10_000


@dataclass(frozen=True, slots=True)
class Growth:
    """The size of the database in bytes, by table with its indexes where that can be told, and the pace of results.

    Of the size `free` is pages of a SQLite file that hold nothing and are used again. `a_day` is how many results a day
    were written lately; None before there are two of different times.
    """

    size: int
    free: int
    by_table: Mapping[str, int]
    results: int
    a_day: float | None

    @property
    def bytes_a_result(self) -> float | None:
        """What a film takes, everything included; None before the first."""
        return (self.size - self.free) / self.results if self.results else None

    @property
    def is_sparse(self) -> bool:
        """Whether so much of the file is free that it is worth writing it anew."""
        return self.free > _MUCH * self.size


def measure_growth(session: Session) -> Growth:
    """Look through every page once (SQLite), or ask the catalogue (PostgreSQL)."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    try:
        tables: dict[str, int] = dict(session.execute(_ON_SQLITE if is_sqlite else _ON_POSTGRESQL).tuples().all())
    except OperationalError:  # this SQLite has no dbstat
        tables = {}
    tables = {name: size for name, size in tables.items() if name in inspect(session.connection()).get_table_names()}
    size, free = session.execute(_PAGES).tuples().one() if is_sqlite else (sum(tables.values()), 0)
    ordered = dict(sorted(tables.items(), key=lambda entry: -entry[1]))
    results = session.scalar(select(func.count()).select_from(ResultRow)) or 0
    return Growth(size, free, ordered, results, _pace(session))


def give_back(engine: Engine) -> bool:
    """Write a SQLite file anew that a migration has left with many free pages; whether that was done.

    Nothing is done where there are few. Raises sqlite3.OperationalError where the disk has no room for a second copy,
    or somebody else is at work on it: the file is then as it was, and its free pages are used as it grows.
    """
    if engine.dialect.name != "sqlite":
        return False
    with closing(engine.raw_connection()) as connection:  # SQLAlchemy's would begin a transaction, and that forbids it
        cursor = connection.cursor()
        size, free = cursor.execute(_PAGES.text).fetchone()
        if free <= _MUCH * size:
            return False
        cursor.execute("PRAGMA query_only=OFF")
        cursor.execute("VACUUM")
        return True


def _pace(session: Session) -> float | None:
    """Results a day, by the times of the newest ones."""
    newest = select(ResultRow.scored_at).order_by(ResultRow.id.desc()).limit(_NEWEST).subquery()
    first, last, number = session.execute(
        select(func.min(newest.c.scored_at), func.max(newest.c.scored_at), func.count()).select_from(newest)
    ).one()
    if first is None or last <= first:
        return None
    return float((number - 1) / ((last - first) / timedelta(days=1)))
