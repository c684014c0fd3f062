"""Who reads: names, each once without regard to case and blanks."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.reading.tables import ReaderRow
from db.sealing import adding
from xray_core.errors import RefusedInput
from xray_core.reading.records import fold_name

_LONGEST = 200


def add_reader(session: Session, name: str, *, now: datetime) -> int:
    """The id of a reader, added here if need be; only inside `transaction`.

    Raises RefusedInput for a name that is empty, longer than 200 characters or not printable.
    """
    clean = " ".join(name.split())
    if not clean or len(clean) > _LONGEST or not clean.isprintable():
        raise RefusedInput(f"reader: received {name[:40]!r}; expected one line of 1 to {_LONGEST} characters")
    known = find_reader(session, clean)
    if known is not None:
        return known
    row = ReaderRow(name=clean, folded=fold_name(clean), added_at=now)
    with adding(session, ReaderRow):
        session.add(row)
    return row.id


def find_reader(session: Session, name: str) -> int | None:
    """The id of a reader, None where nobody of that name was added."""
    return session.scalar(select(ReaderRow.id).where(ReaderRow.folded == fold_name(name)))


def list_readers(session: Session) -> list[str]:
    """The names as they were first written, in the order in which they came."""
    return list(session.scalars(select(ReaderRow.name).order_by(ReaderRow.id)))
