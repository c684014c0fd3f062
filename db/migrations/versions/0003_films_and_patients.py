"""Films are found by folder and relative path; patients become known later; the site key is the ledger's for ever.

New are the key's fingerprint, the folders that films lie in, and what was said of whose a film is; each append-only.
The change time joins a file's signature, so every old one is made anew here, from what its row holds.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy import Connection

revision = "0003"
down_revision = "0002"

APPEND_ONLY = ("site_keys", "folders", "patient_facts")
_PIECE = 5000


class Home(NamedTuple):
    """The home whose ledger this is, in escaped absolute paths; `incoming_place` is what its folder is called here."""

    home: str = ""
    incoming: str = ""
    archive: str | None = None
    incoming_place: str = ""
    archive_place: str = ""


def upgrade() -> None:
    """Add the tables and columns, then give every film its folder and every file its new signature."""
    home = Home(**(context.config.attributes.get("home") or {}))
    connection = op.get_bind()
    _create_tables()
    if connection.dialect.name == "sqlite":
        _protect_on_sqlite()
        _rebuild_files_on_sqlite(connection, home)
        op.execute("ALTER TABLE xrays ADD COLUMN folder_id INTEGER REFERENCES folders (id)")
    else:
        _protect_on_postgresql()
        _extend_files_on_postgresql(connection, home)
        folder = sa.ForeignKey("folders.id", name="fk_xrays_folder_id")
        op.add_column("xrays", sa.Column("folder_id", sa.BigInteger, folder))
    _index_files()
    _move_xrays(connection, home)


def _create_tables() -> None:
    op.create_table(
        "site_keys",
        _id(),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        _time("recorded_at"),
        sa.CheckConstraint("id = 1", name="ck_site_keys_only_one"),
        sa.CheckConstraint("length(fingerprint) = 64", name="ck_site_keys_fingerprint"),
    )
    op.create_table(
        "folders",
        _id(),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        _time("recorded_at"),
        sa.UniqueConstraint("kind", "place", name="uq_folders_kind_place"),
        sa.CheckConstraint("kind IN ('incoming', 'archive', 'dataset')", name="ck_folders_kind"),
    )
    op.create_table(
        "patient_facts",
        _id(),
        sa.Column("sha256", sa.String(64)),
        sa.Column("name", sa.Text),
        sa.Column("patient", sa.Text, nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("import_sha256", sa.String(64), nullable=False),
        _time("recorded_at"),
        sa.CheckConstraint("(sha256 IS NULL) <> (name IS NULL)", name="ck_patient_facts_of_one_film"),
        sa.CheckConstraint("source IN ('csv', 'labels', 'dataset', 'delivery')", name="ck_patient_facts_source"),
    )
    op.create_index("ix_patient_facts_sha256", "patient_facts", ["sha256"])
    op.create_index("ix_patient_facts_name", "patient_facts", ["name"])


def _rebuild_files_on_sqlite(connection: Connection, home: Home) -> None:
    """SQLite adds no reference that must be there: the table is made anew from its own definition."""
    definitions = "SELECT sql FROM sqlite_master WHERE tbl_name = 'incoming_files' AND type = '{}' AND sql IS NOT NULL"
    table = connection.exec_driver_sql(definitions.format("table")).scalar_one()
    indexes = connection.exec_driver_sql(definitions.format("index")).scalars().all()
    last = re.search(r"superseded_at \w+", table)
    assert last is not None
    reference = "CONSTRAINT fk_incoming_files_folder_id REFERENCES folders (id)"
    added = f"left_at DATETIME, folder_id INTEGER NOT NULL {reference}"
    connection.exec_driver_sql("ALTER TABLE incoming_files RENAME TO incoming_files_0002")
    connection.exec_driver_sql(table.replace(last[0], f"{last[0]}, {added}"))
    old = [column["name"] for column in sa.inspect(connection).get_columns("incoming_files_0002")]
    named, given = ", ".join(old), ", ".join(f":{name}" for name in old if name != "signature")
    kept = ", ".join(name for name in old if name != "signature")
    values = f"({kept}, signature, folder_id) VALUES ({given}, :new_signature, :new_folder)"
    insert = sa.text(f"INSERT INTO incoming_files {values}")
    rows = connection.exec_driver_sql(f"SELECT {named} FROM incoming_files_0002 ORDER BY id").mappings()  # noqa: S608
    for signed in _sign_rows(connection, rows, home):
        connection.execute(insert, signed)
    connection.exec_driver_sql("DROP TABLE incoming_files_0002")
    for index in indexes:
        connection.exec_driver_sql(index)


def _extend_files_on_postgresql(connection: Connection, home: Home) -> None:
    folder = sa.ForeignKey("folders.id", name="fk_incoming_files_folder_id")
    op.add_column("incoming_files", sa.Column("left_at", sa.DateTime(timezone=True)))
    op.add_column("incoming_files", sa.Column("folder_id", sa.BigInteger, folder))
    rows = connection.exec_driver_sql(
        "SELECT id, name, size, mtime_ns, ctime_ns FROM incoming_files ORDER BY id"
    ).mappings()
    change = sa.text("UPDATE incoming_files SET signature = :new_signature, folder_id = :new_folder WHERE id = :id")
    for signed in _sign_rows(connection, rows, home):
        connection.execute(change, signed)
    op.alter_column("incoming_files", "folder_id", nullable=False)


def _sign_rows(connection: Connection, rows: sa.MappingResult, home: Home) -> Iterator[list[dict[str, Any]]]:
    """Every known file came into this home's folder; its signature has the change time in it from now on."""
    listed = rows.all()
    if not listed:
        return
    folder = _add_folder(connection, "incoming", home.incoming_place)
    for start in range(0, len(listed), _PIECE):
        yield [
            dict(row) | {"new_folder": folder, "new_signature": _sign(folder, dict(row))}
            for row in listed[start : start + _PIECE]
        ]


def _index_files() -> None:
    op.drop_index("uq_incoming_files_current_name", "incoming_files")
    _index("uq_incoming_files_current_name", "name", "folder_id", where="superseded_at IS NULL", unique=True)
    _index(
        "ix_incoming_files_staying",
        "folder_id",
        where="superseded_at IS NULL AND state = 'scored' AND left_at IS NULL",
    )


def _move_xrays(connection: Connection, home: Home) -> None:
    """From absolute paths to a folder and a path in it."""
    films = list(_read_films(connection))
    incoming = {film.directory for film in films if film.is_delivered and not film.is_of_dataset}
    folders: dict[tuple[str, str], int] = {}
    moved: list[dict[str, Any]] = []
    for film in films:
        where = _choose_folder(film, home, incoming)
        if where not in folders:
            folders[where] = _add_folder(connection, *where)
        moved.append({"id": film.xray_id, "folder": folders[where], "path": film.base})
    for start in range(0, len(moved), _PIECE):
        connection.execute(
            sa.text("UPDATE xrays SET folder_id = :folder, path = :path WHERE id = :id"), moved[start : start + _PIECE]
        )


class _Film(NamedTuple):
    """Where an X-ray was last read, and whether a file of that name came in."""

    xray_id: int
    directory: str
    base: str
    is_delivered: bool
    is_of_dataset: bool


def _read_films(connection: Connection) -> Iterator[_Film]:
    of_dataset = set(connection.execute(sa.text("SELECT xray_id FROM labels WHERE source = 'dataset'")).scalars())
    rows = connection.execute(
        sa.text(
            "SELECT x.id, x.sha256, x.path, f.name FROM xrays x LEFT JOIN incoming_files f ON f.xray_id = x.id "
            "ORDER BY x.id"
        )
    ).all()
    for (xray_id, sha256, path), versions in groupby(rows, key=lambda row: tuple(row[:3])):
        directory, _, base = path.rpartition("/")
        names = {name for *_, name in versions if name is not None}
        is_delivered = base in names or base.removeprefix(f"{sha256[:16]}-") in names
        yield _Film(xray_id, directory, base, is_delivered, xray_id in of_dataset)


def _choose_folder(film: _Film, home: Home, incoming: set[str]) -> tuple[str, str]:
    """A delivered film belongs to the incoming folder, wherever that stood when it was read: a ledger that was
    restored elsewhere must not look into the folder of the home that it came from."""
    if film.directory == home.archive:
        return "archive", home.archive_place
    if film.directory == home.incoming or (film.is_delivered and film.directory in incoming):
        return "incoming", home.incoming_place
    inside = home.home and film.directory.startswith(f"{home.home}/")
    return "dataset", film.directory[len(home.home) + 1 :] if inside else film.directory


def _add_folder(connection: Connection, kind: str, place: str) -> int:
    values = {"kind": kind, "place": place}
    found: int | None = connection.execute(
        sa.text("SELECT id FROM folders WHERE kind = :kind AND place = :place"), values
    ).scalar()
    if found is not None:
        return found
    connection.execute(
        sa.text("INSERT INTO folders (kind, place, recorded_at) VALUES (:kind, :place, CURRENT_TIMESTAMP)"), values
    )
    return _add_folder(connection, kind, place)


def _sign(folder: int, row: Mapping[str, Any]) -> int:
    """As `sign_file` did when this was written; a file that went away keeps none, so that it may come back."""
    if row["size"] < 0:
        return 0
    name = re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), row["name"].encode())
    parts = (folder, row["size"], row["mtime_ns"], row["ctime_ns"], name)
    return int.from_bytes(hashlib.blake2b(b"%d/%d/%d/%d/%b" % parts, digest_size=8).digest(), "big", signed=True)


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


def _id() -> sa.Column[int]:
    # SQLite numbers rows by itself only where the key is called INTEGER.
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)


def _time(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def _index(name: str, *columns: str, where: str, unique: bool = False) -> None:
    op.create_index(
        name,
        "incoming_files",
        list(columns),
        unique=unique,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )
