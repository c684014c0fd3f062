"""Readers, reading lists and their items; a label knows on which list it was given, and what its reader saw.

Old labels keep what they said. Whether their readers saw a score is not known, and stays empty.
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Connection

revision = "0005"
down_revision = "0004"

NEW_LABEL = "'other'"
NEW_SOURCE = "'page'"
APPEND_ONLY = ("readers", "reading_lists", "reading_list_items")
# What came with this revision, in the order of the table; the old columns stand before it.
_ADDED = (
    "list_item_id INTEGER CONSTRAINT fk_labels_list_item_id REFERENCES reading_list_items (id)",
    "role VARCHAR(32) NOT NULL DEFAULT 'reader' CONSTRAINT ck_labels_role CHECK (role IN ('reader', 'adjudicator'))",
    "sure BOOLEAN",
    "score_visible BOOLEAN",
    "shown_at DATETIME",
    "seconds FLOAT",
    "exclude_reason TEXT",
    "note TEXT",
    "prior_used BOOLEAN",
    "request_id VARCHAR(64)",
)
_LABEL_CHECK = re.compile(r"label IN \(([^)]*)\)")
_SOURCE_CHECK = re.compile(r"source IN \(([^)]*)\)")


def upgrade() -> None:
    """Add the tables, then the columns; no label changes."""
    connection = op.get_bind()
    _create_tables()
    if connection.dialect.name == "sqlite":
        _protect_on_sqlite()
        _rebuild_labels_on_sqlite(connection)
    else:
        _protect_on_postgresql()
        _extend_labels_on_postgresql(connection)
    op.create_index("uq_labels_request_id", "labels", ["request_id"], unique=True)
    op.create_index("ix_labels_list_item_id", "labels", ["list_item_id"])


def _create_tables() -> None:
    op.create_table(
        "readers",
        _id(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("folded", sa.Text, nullable=False),
        _time("added_at"),
        sa.UniqueConstraint("folded", name="uq_readers_folded"),
    )
    op.create_table(
        "reading_lists",
        _id(),
        _reference("reading_lists", "reader_id", "readers"),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("reveal_share", sa.Float(53), nullable=False),
        sa.Column("guide_sha256", sa.String(64)),
        _time("made_at"),
        sa.CheckConstraint("reveal_share >= 0 AND reveal_share <= 1", name="ck_reading_lists_reveal_share"),
    )
    op.create_table(
        "reading_list_items",
        _id(),
        _reference("reading_list_items", "list_id", "reading_lists"),
        sa.Column("position", sa.Integer, nullable=False),
        _reference("reading_list_items", "xray_id", "xrays"),
        sa.Column(
            "reason",
            sa.String(32),
            sa.CheckConstraint(
                "reason IN ('audit', 'repeat', 'unlike', 'refer', 'shadow', 'doubt', 'label')",
                name="ck_reading_list_items_reason",
            ),
            nullable=False,
        ),
        sa.Column("selection_probability", sa.Float(53), nullable=False),
        sa.Column("reveal", sa.Boolean, nullable=False),
        sa.UniqueConstraint("list_id", "position", name="uq_reading_list_items_list_id_position"),
        sa.UniqueConstraint("list_id", "xray_id", name="uq_reading_list_items_list_id_xray_id"),
        sa.CheckConstraint(
            "selection_probability > 0 AND selection_probability <= 1",
            name="ck_reading_list_items_selection_probability",
        ),
    )


def _rebuild_labels_on_sqlite(connection: Connection) -> None:
    """SQLite cannot change a CHECK: the table is made anew from its own definition, and its rows move over."""
    definitions = "SELECT sql FROM sqlite_master WHERE tbl_name = 'labels' AND type = '{}' AND sql IS NOT NULL"
    table = connection.exec_driver_sql(definitions.format("table")).scalar_one()
    others = [
        sql
        for kind in ("index", "trigger")
        for sql in connection.exec_driver_sql(definitions.format(kind)).scalars().all()
    ]
    view = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'current_results'").scalar_one()
    old = ", ".join(column["name"] for column in sa.inspect(connection).get_columns("labels"))
    last = re.search(r"imported_at \w+ NOT NULL", table)
    assert last is not None
    table = table.replace(last[0], ", ".join((last[0], *_ADDED)))
    table = _LABEL_CHECK.sub(rf"label IN (\1, {NEW_LABEL})", table, count=1)
    table = _SOURCE_CHECK.sub(rf"source IN (\1, {NEW_SOURCE})", table, count=1)
    connection.exec_driver_sql("DROP VIEW current_results")
    connection.exec_driver_sql("ALTER TABLE labels RENAME TO labels_0004")
    connection.exec_driver_sql(table)
    connection.exec_driver_sql(f"INSERT INTO labels ({old}) SELECT {old} FROM labels_0004 ORDER BY id")  # noqa: S608
    connection.exec_driver_sql("DROP TABLE labels_0004")
    for sql in (*others, view):
        connection.exec_driver_sql(sql)


def _extend_labels_on_postgresql(connection: Connection) -> None:
    for name, word in (("label", NEW_LABEL), ("source", NEW_SOURCE)):
        check = connection.exec_driver_sql(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint "  # noqa: S608
            f"WHERE conname = 'ck_labels_{name}' AND conrelid = 'labels'::regclass"
        ).scalar_one()
        words = ", ".join([*re.findall("'[a-z]+'", check), word])
        connection.exec_driver_sql(f"ALTER TABLE labels DROP CONSTRAINT ck_labels_{name}")
        connection.exec_driver_sql(f"ALTER TABLE labels ADD CONSTRAINT ck_labels_{name} CHECK ({name} IN ({words}))")
    for column in (
        _reference("labels", "list_item_id", "reading_list_items", nullable=True),
        sa.Column("role", sa.String(32), nullable=False, server_default="reader"),
        sa.Column("sure", sa.Boolean),
        sa.Column("score_visible", sa.Boolean),
        sa.Column("shown_at", sa.DateTime(timezone=True)),
        sa.Column("seconds", sa.Float(53)),
        sa.Column("exclude_reason", sa.Text),
        sa.Column("note", sa.Text),
        sa.Column("prior_used", sa.Boolean),
        sa.Column("request_id", sa.String(64)),
    ):
        op.add_column("labels", column)
    op.create_check_constraint("ck_labels_role", "labels", "role IN ('reader', 'adjudicator')")


def _protect_on_sqlite() -> None:
    for table in APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_refuses_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def _protect_on_postgresql() -> None:
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_refuses_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_refuses_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def _bigint() -> sa.types.TypeEngine[int]:
    # SQLite numbers rows by itself only where the key is called INTEGER.
    return sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _id() -> sa.Column[int]:
    return sa.Column("id", _bigint(), primary_key=True)


def _time(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def _reference(table: str, name: str, target: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, _bigint(), sa.ForeignKey(f"{target}.id", name=f"fk_{table}_{name}"), nullable=nullable)
