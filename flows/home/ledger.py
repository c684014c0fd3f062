"""The results database of a home: made on first use, refused when another version made it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, inspect

from db.engine import check_schema, open_engine
from flows.home.folders import open_home
from flows.settings import Settings


def prepare_ledger(settings: Settings) -> None:
    """Create home and database where there are none; raise SchemaOutOfDate where a person must decide to migrate."""
    open_home(settings)
    engine = open_engine(settings.url)
    try:
        if inspect(engine).has_table("alembic_version"):
            check_schema(engine)
        else:
            from db.migrate import migrate

            migrate(engine)
    finally:
        engine.dispose()


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Engine]:
    """The results database inside the block. Raises SchemaOutOfDate where it is not of this version."""
    engine = open_engine(settings.url)
    try:
        check_schema(engine)
        yield engine
    finally:
        engine.dispose()


def migrate_ledger(settings: Settings) -> None:
    """Bring the database to this version's schema: what a person asks for after a backup."""
    from db.migrate import migrate

    open_home(settings)
    engine = open_engine(settings.url)
    try:
        migrate(engine)
    finally:
        engine.dispose()
