"""SQLite holds hashes and pseudonyms of films as bytes and times as numbers: a film takes a quarter less.

No fact changes. PostgreSQL, which has times of its own, stays as it is; only what a seal is over is the same there from
here on, so `migrate` seals everything anew as it does after every migration. All tables are made anew from their own
definitions, for they refer to one another; what is freed stays in the file until it is used again, or vacuumed.
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Connection

revision = "0010"
down_revision = "0009"

DIGESTS = {
    "xrays": ("sha256", "dhash"),
    "incoming_files": ("refused_sha256",),
    "patient_facts": ("sha256",),
    "results": ("study", "image"),
}
RUNS = {"results": ("flow_run_id",)}
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def upgrade() -> None:
    """Move every row over, table after table, inside SQLite."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return
    driver: Any = connection.connection.driver_connection
    driver.create_function("digest_0010", 1, _to_digest, deterministic=True)
    driver.create_function("run_0010", 1, _to_run, deterministic=True)
    tables = _read_definitions(connection, "table")
    others = [sql for kind in ("index", "trigger", "view") for sql in _read_definitions(connection, kind).values()]
    ordered = _order(connection, tables)
    for view in _read_definitions(connection, "view"):
        connection.exec_driver_sql(f'DROP VIEW "{view}"')
    full = [name for name in reversed(ordered) if _step_aside(connection, name)]
    for name in ordered:
        connection.exec_driver_sql(_redefine(name, tables[name]))
        if name in full:
            _move(connection, name)
    for name in full:
        connection.exec_driver_sql(f'DROP TABLE "{name}_0009"')
    for sql in others:
        connection.exec_driver_sql(sql)


def _step_aside(connection: Connection, name: str) -> bool:
    """Whether a table had rows, and has another name for now; an empty one is gone, so that no page of it is left."""
    has_rows: bool = connection.exec_driver_sql(f'SELECT EXISTS (SELECT 1 FROM "{name}")').scalar_one()  # noqa: S608
    connection.exec_driver_sql(f'ALTER TABLE "{name}" RENAME TO "{name}_0009"' if has_rows else f'DROP TABLE "{name}"')
    return has_rows


def _read_definitions(connection: Connection, kind: str) -> dict[str, str]:
    """What was said to make every table, index, trigger or view of the ledger, by its name."""
    found = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE type = ? AND sql IS NOT NULL AND name <> 'alembic_version' "
        "AND name NOT LIKE 'sqlite%'",
        (kind,),
    )
    return dict(found.tuples().all())


def _redefine(name: str, sql: str) -> str:
    sql = re.sub(r"\bDATETIME\b", "BIGINT", sql)
    for column in (*DIGESTS.get(name, ()), *RUNS.get(name, ())):
        sql = re.sub(rf"\b{column} (VARCHAR\(\d+\)|TEXT)", f"{column} BLOB", sql, count=1)
    return (
        sql.replace("length(sha256) = 64", "typeof(sha256) = 'blob' AND length(sha256) = 32")
        if name == "xrays"
        else sql
    )


def _order(connection: Connection, tables: dict[str, str]) -> list[str]:
    """Those that others refer to come first."""
    found, left = sa.inspect(connection), dict.fromkeys(tables)
    ordered: list[str] = []
    refers = {name: {key["referred_table"] for key in found.get_foreign_keys(name)} - {name} for name in tables}
    while left:
        ready = [name for name in left if refers[name] <= set(ordered)]
        assert ready, f"these tables refer to one another in a circle: {list(left)}"
        ordered += ready
        for name in ready:
            del left[name]
    return ordered


def _move(connection: Connection, name: str) -> None:
    columns = {column["name"]: str(column["type"]) for column in sa.inspect(connection).get_columns(f"{name}_0009")}
    given = ", ".join(_convert(name, column, kind) for column, kind in columns.items())
    connection.exec_driver_sql(f'INSERT INTO "{name}" SELECT {given} FROM "{name}_0009" ORDER BY 1')  # noqa: S608


def _convert(name: str, column: str, kind: str) -> str:
    if column in DIGESTS.get(name, ()):
        return f'digest_0010("{column}")'
    if column in RUNS.get(name, ()):
        return f'run_0010("{column}")'
    if kind != "DATETIME":
        return f'"{column}"'
    # With or without a fraction of six digits. What is no time, which nobody here wrote, stays as it is.
    seconds = f"strftime('%s', substr(\"{column}\", 1, 19))"
    microseconds = f"{seconds} * 1000000 + CAST(substr(substr(\"{column}\", 21) || '000000', 1, 6) AS INTEGER)"
    return f'CASE WHEN length("{column}") IN (10, 19, 26) THEN coalesce({microseconds}, "{column}") ELSE "{column}" END'


def _to_digest(value: Any) -> Any:
    """Lower-case hex digits as bytes; anything else as it is."""
    try:
        found = bytes.fromhex(value)
    except (TypeError, ValueError):
        return value
    return found if found.hex() == value else value


def _to_run(value: Any) -> Any:
    return bytes.fromhex(value.replace("-", "")) if isinstance(value, str) and _UUID.fullmatch(value) else value
