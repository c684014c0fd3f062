"""Seals: what the tables hold is written down in the audit chain by the transaction that wrote it.

Every row of a sealed table has a keyed hash, and a thousand rows a sum of these hashes (a multiset hash by addition:
Clarke, Devadas, van Dijk, Gassend, Suh 2003, "Incremental multiset hash functions", 5.1, MSet-Add-Hash; here modulo
2^256). A transaction puts how much it added to each sum into one entry of the audit log. `xray verify` adds those up
and compares them with the sums of the rows that are there: one pass over the log, one over each table.
"""

from __future__ import annotations

import hashlib
import hmac
import marshal
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, Final

from sqlalchemy import CursorResult, Select, Table, exists, func, inspect, literal_column, select, text
from sqlalchemy.orm import Session

from db import audit
from db.bulk import pieces
from db.columns import Base, plain_column

_SEALED, _ANEW = "sealed", audit.SEALED_ANEW
_ROWS_PER_SUM: Final = 1000
_MODULUS: Final = 2**256
_CHANGES = "xray_sealed_changes"


@dataclass(frozen=True, slots=True)
class Rule:
    """Which columns of a table are left out of its seal, and which rows are sealed (SQL; all of them without)."""

    besides: tuple[str, ...] = ()
    only: str | None = None


@dataclass(slots=True)
class _Sum:
    """How many rows, and the sum of their hashes; both may be differences."""

    count: int = 0
    total: int = 0

    def add(self, other: _Sum, sign: int = 1) -> None:
        self.count += sign * other.count
        self.total = (self.total + sign * other.total) % _MODULUS


_Sums = defaultdict[int, _Sum]


def sealed(*, besides: tuple[str, ...] = (), only: str | None = None) -> dict[str, Any]:
    """For a table's arguments: its rows are sealed. Who writes them does so inside `adding` or `changing`."""
    return {"info": {"seal": Rule(besides, only)}}


@contextmanager
def adding(session: Session, row: type[Base]) -> Iterator[None]:
    """Seal the rows that the block adds to a table which numbers its rows."""
    table = _table(row)
    last = session.scalar(select(func.max(table.c.id))) or 0
    yield
    session.flush()
    statement = _select(table, session).where(table.c.id > last)
    _note(session, table, _sum_rows(session, table, session.execute(statement)))


@contextmanager
def changing(session: Session, row: type[Base], keys: Sequence[Any], *, by: str = "id") -> Iterator[None]:
    """Seal what becomes in the block of the rows whose column `by` has one of these values; they may be new ones.

    What they were before is taken out of the seal as it is found: a row that somebody else had altered stays found.
    """
    table, wanted = _table(row), list(dict.fromkeys(keys))
    before = _sum_keys(session, table, by, wanted)
    yield
    session.flush()
    _note(session, table, before, sign=-1)
    _note(session, table, _sum_keys(session, table, by, wanted))


def seal_moved(source: Session, session: Session, row: type[Base], keys: Sequence[int]) -> None:
    """Seal rows that came from another database and are not what they were there, as `changing` would have."""
    table = _table(row)
    _note(session, table, _sum_keys(source, table, "id", keys), sign=-1)
    _note(session, table, _sum_keys(session, table, "id", keys))


def seal(session: Session) -> None:
    """Put what the transaction changed into the audit chain, in one entry; the last step of every `transaction`."""
    changes: dict[str, _Sums] = session.info.pop(_CHANGES, {})
    detail = {table: kept for table, sums in sorted(changes.items()) if (kept := _to_json(sums))}
    if detail:
        subject = ", ".join(detail)
        audit.append(session, actor="ledger", action=_SEALED, subject=subject, detail=detail, now=datetime.now(UTC))


def seal_anew(session: Session, *, revision: str, note: str | None) -> None:
    """Seal every row as it is found: after a migration, which may have changed what a row is.

    Nothing is written for an empty ledger. `note` says what was found wrong with the history before, if anything.
    """
    if not any(session.scalar(select(exists().select_from(table))) for table in _sealed_tables()):
        return
    found = {table.name: _to_json(_sum_table(session, table)) for table in _sealed_tables()}
    detail = {"revision": revision, "note": note, "tables": found}
    audit.append(session, actor="ledger", action=_ANEW, subject="all tables", detail=detail, now=datetime.now(UTC))


def find_broken_seals(session: Session, *, as_text: bool = False) -> Iterator[str]:
    """Where the rows differ from what was sealed, one sentence each.

    A ledger of before, about to be migrated, is asked by the tables and columns that it has, and in the form in which
    it sealed them: `as_text` for one from before revision 0010.
    """
    expected, known = _read_seals(session), inspect(session.connection())
    names = set(known.get_table_names())
    for table in _sealed_tables():
        if table.name not in names:
            continue
        columns = {column["name"] for column in known.get_columns(table.name)}
        there, written = _sum_table(session, table, columns, as_text=as_text), expected[table.name]
        for place in sorted(there.keys() | written.keys()):
            found, meant = there.get(place, _Sum()), written.get(place, _Sum())
            if (found.count, found.total) != (meant.count, meant.total):
                yield (
                    f"{_name_rows(session, table, place)}: changed since they were written ({found.count} rows are "
                    f"there, {meant.count} were sealed)"
                )


def _sealed_tables() -> list[Table]:
    return [table for table in Base.metadata.sorted_tables if "seal" in table.info]


def _table(row: type[Base]) -> Table:
    table = row.__table__
    assert isinstance(table, Table)
    return table


def _note(session: Session, table: Table, sums: _Sums, sign: int = 1) -> None:
    changes: dict[str, _Sums] = session.info.setdefault(_CHANGES, {})
    kept = changes.setdefault(table.name, defaultdict(_Sum))
    for place, found in sums.items():
        kept[place].add(found, sign)


def _select(table: Table, session: Session, there: set[str] | None = None, *, as_text: bool = False) -> Select[Any]:
    """The sealed columns of the sealed rows, the key first, in the form in which both databases give the same.

    That is what SQLite holds. `there` are the columns that the database has, where it may be of before.
    """
    rule: Rule = table.info["seal"]
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    sealed_columns = [column for column in table.c if column.name not in rule.besides]
    columns = [
        plain_column(column, is_postgresql, as_text)
        for column in sealed_columns
        if there is None or column.name in there
    ]
    statement = select(*(literal_column(column) for column in columns)).select_from(table)
    return statement if rule.only is None else statement.where(text(f"({rule.only})"))


def _sum_keys(session: Session, table: Table, by: str, keys: Sequence[Any]) -> _Sums:
    sums: _Sums = defaultdict(_Sum)
    for part in pieces(keys):
        statement = _select(table, session).where(table.c[by].in_(part))
        for place, found in _sum_rows(session, table, session.execute(statement)).items():
            sums[place].add(found)
    return sums


def _sum_table(session: Session, table: Table, columns: set[str] | None = None, *, as_text: bool = False) -> _Sums:
    # SQLite's driver streams by itself; SQLAlchemy's own streaming would keep the first row from `fetchmany`.
    options = {"stream_results": session.get_bind().dialect.name == "postgresql"}
    with session.connection().execute(
        _select(table, session, columns, as_text=as_text), execution_options=options
    ) as rows:
        return _sum_rows(session, table, rows)


def _sum_rows(session: Session, table: Table, rows: Any) -> _Sums:
    """Count and sum of the rows, by thousand of their number; tables without numbers have one sum."""
    key = _row_key(audit.anchor_of(session).key, table.name)
    numbered = issubclass(table.c.values()[0].type.python_type, int)
    counts: defaultdict[int, int] = defaultdict(int)
    totals: defaultdict[int, int] = defaultdict(int)
    hash_row, dump, number = partial(hashlib.blake2b, key=key, digest_size=32), marshal.dumps, int.from_bytes
    for part in _read_parts(rows):
        for row in part:
            place = (row[0] - 1) // _ROWS_PER_SUM if numbered else 0
            counts[place] += 1
            # Version 2 of marshal has been the same bytes for numbers, text and None since Python 2.5; a test has
            # them written out. It is half the time of any text that says the same.
            totals[place] += number(hash_row(dump(tuple(row), 2)).digest(), "big")
    sums: _Sums = defaultdict(_Sum)
    for place, count in counts.items():
        sums[place] = _Sum(count, totals[place] % _MODULUS)
    return sums


def _read_parts(rows: CursorResult[Any]) -> Iterator[Iterable[Any]]:
    """Rows as lists of tuples; on SQLite from the driver's own cursor, in a third of the time."""
    context = getattr(rows, "context", None)
    if context is not None and context.dialect.name == "sqlite" and rows.cursor is not None:
        return iter(partial(rows.cursor.fetchmany, 200), [])
    return iter(rows.partitions(1_000))


@cache
def _row_key(key: bytes, table: str) -> bytes:
    return hmac.digest(key, f"rows of {table}".encode(), "sha256")


def _to_json(sums: _Sums) -> dict[str, list[Any]]:
    changed = {place: kept for place, kept in sorted(sums.items()) if kept.count or kept.total}
    return {str(place): [kept.count, f"{kept.total:064x}"] for place, kept in changed.items()}


def _read_seals(session: Session) -> defaultdict[str, _Sums]:
    """What the audit log says that every table holds."""
    expected: defaultdict[str, _Sums] = defaultdict(lambda: defaultdict(_Sum))
    for action, _, detail in audit.iter_details(session, _SEALED, _ANEW):
        if action == _ANEW:
            expected.clear()
        for table, sums in (detail["tables"] if action == _ANEW else detail).items():
            for place, (count, total) in sums.items():
                expected[table][int(place)].add(_Sum(count, int(total, 16)))
    return expected


def _name_rows(session: Session, table: Table, place: int) -> str:
    if "id" not in table.c:
        return str(table.name)
    first = place * _ROWS_PER_SUM + 1
    last = session.scalar(select(func.max(table.c.id)).where(table.c.id < first + _ROWS_PER_SUM)) or first
    return f"{table.name} {first} to {max(first, last)}"
