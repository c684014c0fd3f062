"""Many rows in few statements: lists in pieces that both databases take, and inserts that respect what is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

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


def insert_into(session: Session, row: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT, in the session's dialect."""
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # 0.1 s that a scan on SQLite need not pay

        return postgresql.insert(row)
    return sqlite.insert(row)
