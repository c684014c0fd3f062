"""One more reason why a file is not scored: FEW_GREY_LEVELS, a mask or a map of labels instead of a film."""

from __future__ import annotations

import re

from alembic import op
from sqlalchemy import Connection

revision = "0002"
down_revision = "0001"

LAST_REASON = "'NON_FINITE_SCORE'"
NEW_REASON = "'FEW_GREY_LEVELS'"


def upgrade() -> None:
    """Let the database take the new word; no row changes."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        _rebuild_on_sqlite(connection)
    else:
        _replace_check_on_postgresql(connection)


def _rebuild_on_sqlite(connection: Connection) -> None:
    """SQLite cannot change a CHECK: the table is made anew from its own definition, and its rows move over."""
    definitions = "SELECT sql FROM sqlite_master WHERE tbl_name = 'incoming_files' AND type = '{}' AND sql IS NOT NULL"
    table = connection.exec_driver_sql(definitions.format("table")).scalar_one()
    indexes = connection.exec_driver_sql(definitions.format("index")).scalars().all()
    connection.exec_driver_sql("ALTER TABLE incoming_files RENAME TO incoming_files_0001")
    connection.exec_driver_sql(table.replace(LAST_REASON, f"{LAST_REASON}, {NEW_REASON}"))
    connection.exec_driver_sql("INSERT INTO incoming_files SELECT * FROM incoming_files_0001")
    connection.exec_driver_sql("DROP TABLE incoming_files_0001")
    for index in indexes:
        connection.exec_driver_sql(index)


def _replace_check_on_postgresql(connection: Connection) -> None:
    name = "ck_incoming_files_reason_code"
    check = connection.exec_driver_sql(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conname = 'ck_incoming_files_reason_code' AND conrelid = 'incoming_files'::regclass"
    ).scalar_one()
    words = ", ".join([*re.findall("'[A-Z_]+'", check), NEW_REASON])
    connection.exec_driver_sql(f"ALTER TABLE incoming_files DROP CONSTRAINT {name}")
    connection.exec_driver_sql(f"ALTER TABLE incoming_files ADD CONSTRAINT {name} CHECK (reason_code IN ({words}))")
