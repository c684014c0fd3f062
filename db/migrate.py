"""Creating the tables, and bringing older ones up to date."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from db.audit import keep_head, verify_chain
from db.engine import read_revision, refuse_newer_revision, take_turn, writing
from db.schema import HEAD
from db.sealing import find_broken_seals, seal_anew

# The revision with which sealing began.
_SEALED = "0004"
# From here on seals are over what SQLite holds now: numbers and bytes; before, over text.
_AS_BYTES = "0010"


def migrate(engine: Engine, home: Mapping[str, str | None] | None = None) -> None:
    """Bring the database to the newest revision, in one transaction: a kill leaves the old one or the new one.

    `home` says where the home of an older database keeps its films: the fields of `Home` in revision 0003.
    Two that start together take turns, and the second finds nothing to do. What a migration leaves is sealed
    as it is found. Raises SchemaOutOfDate where a newer version has been at work, LedgerAltered where the
    database is no longer what this home wrote.
    """
    with writing(engine).begin() as connection:
        take_turn(connection)
        before = read_revision(connection)
        refuse_newer_revision(engine, before)
        session = Session(connection, join_transaction_mode="rollback_only")
        broken_before = _find_broken_history(session, before) if before and _SEALED <= before < HEAD else None
        broken_history = _upgrade(connection, home)
        if before != HEAD:
            seal_anew(session, revision=HEAD, note=broken_before or broken_history)
        session.commit()
    keep_head(session, engine)


def _find_broken_history(session: Session, revision: str) -> str | None:
    """What does not hold before a migration seals everything anew: else it would seal what somebody has altered."""
    if (position := verify_chain(session)) is not None:
        return f"audit log, position {position}: missing, altered or wrongly chained"
    return next(find_broken_seals(session, as_text=revision < _AS_BYTES), None)


def create_tables(connection: Connection) -> None:
    """The newest revision's tables in an empty database, in the caller's transaction; nothing is sealed."""
    _upgrade(connection, None)


def _upgrade(connection: Connection, home: Mapping[str, str | None] | None) -> str | None:
    """Run the migrations that are left; what they found broken, in a sentence."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["home"] = home
    command.upgrade(config, "head")
    broken: str | None = config.attributes.get("broken_history")
    return broken
