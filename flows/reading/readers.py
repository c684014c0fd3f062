"""Who reads films in this home."""

from __future__ import annotations

from datetime import UTC, datetime

from db import audit
from db.engine import snapshot, transaction
from db.reading import readers
from flows.home.ledger import open_ledger
from flows.settings import Settings


def add_reader(settings: Settings, name: str) -> list[str]:
    """Add a reader, if need be, and return all names. Raises RefusedInput for a name that is none."""
    with open_ledger(settings) as engine, transaction(engine) as session:
        if readers.find_reader(session, name) is None:
            reader_id, now = readers.add_reader(session, name, now=datetime.now(UTC)), datetime.now(UTC)
            audit.append(
                session, actor="operator", action="reader-added", subject=f"reader {reader_id}", detail={}, now=now
            )
        return readers.list_readers(session)


def list_readers(settings: Settings) -> list[str]:
    """All names, in the order in which they came."""
    with open_ledger(settings) as engine, snapshot(engine) as session:
        return readers.list_readers(session)
