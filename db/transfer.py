"""A ledger moved from one kind of database to the other: row by row, in one transaction, and looked over at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, Engine, Table, func, insert, inspect, select, text
from sqlalchemy.orm import Session

from db.audit import keep_head
from db.columns import Base
from db.engine import check_schema, snapshot, take_turn, writing
from db.invariants import find_breaches
from db.migrate import create_tables
from db.scoring.tables import FolderRow
from db.sealing import seal, seal_moved
from xray_core.errors import RefusedInput
from xray_core.records import FolderKind

_ROWS_AT_ONCE = 1000

# What a folder is called there, by its kind and what it is called here.
Places = Mapping[tuple[FolderKind, str], str]


def transfer(
    source: Engine, target: Engine, places: Places, *, on_progress: Callable[[int], None] = lambda _: None
) -> int:
    """Copy every row of a ledger into an empty database and count them; all of them are there, or none.

    `source` is read as of one moment, and may be written meanwhile. A folder whose place means the home that the
    ledger lies in gets the place by which the other database knows it, in `places`, and is sealed as it became. The
    copy must hold every invariant before it is committed. `on_progress` is told of rows. Raises SchemaOutOfDate for a
    ledger of an older version, RefusedInput where the target holds tables already, or the copy would not verify.
    """
    check_schema(source)
    tables = Base.metadata.sorted_tables  # those that others refer to come first
    with snapshot(source) as there, writing(target).begin() as connection:
        take_turn(connection)
        refuse_used(connection)
        create_tables(connection)
        rows = sum(_copy_table(there, connection, table, places, on_progress) for table in tables)
        _go_on_numbering(connection, tables)
        here = Session(connection, join_transaction_mode="rollback_only")
        seal_moved(there, here, FolderRow, _find_moved(there, places))
        seal(here)
        here.flush()
        if breach := next(find_breaches(here), None):
            raise RefusedInput(f"the ledger was not taken over, for the copy does not hold: {breach}")
        here.commit()
    keep_head(here, target)
    return rows


def refuse_used(connection: Connection) -> None:
    """Raise RefusedInput unless the database has no table at all."""
    if found := sorted(inspect(connection).get_table_names()):
        raise RefusedInput(
            f"{connection.engine.url.render_as_string()}: holds tables already ({', '.join(found[:3])} ...); expected "
            "an empty database, e.g. one that `createdb` has just made"
        )


def _find_moved(session: Session, places: Places) -> list[int]:
    known = session.execute(select(FolderRow.id, FolderRow.kind, FolderRow.place)).tuples()
    return [folder_id for folder_id, kind, place in known if places.get((kind, place), place) != place]


def _copy_table(
    session: Session, connection: Connection, table: Table, places: Places, on_progress: Callable[[int], None]
) -> int:
    rows = 0
    options = {"yield_per": _ROWS_AT_ONCE}
    with session.execute(select(table).order_by(*table.primary_key), execution_options=options) as found:
        for part in found.mappings().partitions():
            values = [dict(row) for row in part]
            if table is FolderRow.__table__:
                values = [row | {"place": places.get((row["kind"], row["place"]), row["place"])} for row in values]
            connection.execute(insert(table), values)
            rows += len(part)
            on_progress(len(part))
    return rows


def _go_on_numbering(connection: Connection, tables: list[Table]) -> None:
    """PostgreSQL counts rows apart from the tables: the next row gets the number after the last."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables:
        for column in table.primary_key:
            sequence = connection.scalar(
                text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table.name, "column": column.name}
            )
            if sequence is not None and (last := connection.scalar(select(func.max(column)))) is not None:
                connection.execute(text("SELECT setval(:sequence, :last)"), {"sequence": sequence, "last": last})
