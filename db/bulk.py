"""Many rows in few statements: lists in pieces that both databases take, and inserts that respect what is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import TextClause
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


def insert_into(session: Session, row: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT, in the session's dialect."""
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # 0.1 s that a scan on SQLite need not pay

        return postgresql.insert(row)
    return sqlite.insert(row)
