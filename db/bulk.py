"""Many rows in few statements: lists in pieces that both databases take, and inserts that respect what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Dialect, Table, TextClause, Update
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Session

from db.columns import Base

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

# SQLite takes 32,766 parameters in one statement.
_PIECE = 2000

_Item = TypeVar("_Item")


def pieces(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """The items in slices short enough for one IN list."""
    for start in range(0, len(items), _PIECE):
        yield items[start : start + _PIECE]


def read_rows(session: Session, statement: TextClause) -> Iterator[Sequence[Any]]:
    """The rows of a statement in words, as a stream of lists of tuples; on SQLite from the driver's own cursor.

    A million in a second instead of five. What they hold is as the database gives it, no column's type has a say.
    """
    with session.connection().execute(statement, execution_options={"stream_results": True}) as rows:
        if rows.context.dialect.name == "sqlite" and rows.cursor is not None:
            yield from iter(partial(rows.cursor.fetchmany, 2_000), [])  # more would not stay near the processor
        else:
            yield from rows.partitions(5_000)


def insert_on(dialect: str, row: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT, in the dialect of that name."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql  # 0.1 s that a scan on SQLite need not pay

        return postgresql.insert(table_of(row))
    return sqlite.insert(table_of(row))


def table_of(row: type[Base]) -> Table:
    """The table whose rows these are."""
    table = row.__table__
    assert isinstance(table, Table)
    return table


def write_rows(
    session: Session, statement: sqlite.Insert | postgresql.Insert | Update, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Run an INSERT or UPDATE of a table once for each row, all with the same keys, by the driver's own `executemany`.

    SQLAlchemy makes the SQL, and each column's type converts the values; what else it does around every row takes
    longer than the database. Callers keep their statement, so that it is compiled once.
    """
    connection = session.connection()
    sql, processors = _compile(statement, connection.dialect, tuple(rows[0]))
    values = [
        {name: row[name] if process is None else process(row[name]) for name, process in processors} for row in rows
    ]
    is_positional = connection.dialect.positional
    connection.exec_driver_sql(sql, [tuple(row.values()) for row in values] if is_positional else values)


@lru_cache(maxsize=16)
def _compile(
    statement: sqlite.Insert | postgresql.Insert | Update, dialect: Dialect, keys: tuple[str, ...]
) -> tuple[str, list[tuple[str, Callable[[Any], Any] | None]]]:
    """The SQL, and its parameters in their order, each with what makes of a value what the driver takes."""
    compiled: Any = statement.compile(dialect=dialect, column_keys=list(keys), for_executemany=True)
    types = [(name, compiled.binds[name].type) for name in compiled.positiontup or compiled.binds]
    return str(compiled), [(name, kind.dialect_impl(dialect).bind_processor(dialect)) for name, kind in types]
