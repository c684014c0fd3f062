"""Creating the tables, and bringing older ones up to date."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from db.engine import read_revision, refuse_newer_revision, take_turn, writing


def migrate(engine: Engine, home: Mapping[str, str | None] | None = None) -> None:
    """Bring the database to the newest revision, in one transaction: a kill leaves the old one or the new one.

    `home` says where the home of an older database keeps its films: the fields of `Home` in revision 0003.
    Two that start together take turns, and the second finds nothing to do. Raises SchemaOutOfDate where a
    newer version has been at work.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with writing(engine).begin() as connection:
        take_turn(connection)
        refuse_newer_revision(engine, read_revision(connection))
        config.attributes["connection"] = connection
        config.attributes["home"] = home
        command.upgrade(config, "head")
