"""Which site key a ledger hangs on: pseudonyms and sides of the split are drawn with it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from db.scoring.tables import SiteKeyRow
from db.sealing import adding

# What hangs on a key, or on the home that has it: with a row in one of these a ledger is not new.
_IN_USE = text(
    "SELECT EXISTS (SELECT 1 FROM xrays) OR EXISTS (SELECT 1 FROM split_members) OR EXISTS (SELECT 1 FROM models)"
)


def read_fingerprint(session: Session) -> str | None:
    """The fingerprint of the ledger's site key, None where none was recorded yet."""
    return session.scalar(select(SiteKeyRow.fingerprint))


def record_fingerprint(session: Session, fingerprint: str, *, now: datetime) -> str:
    """Record the site key of a ledger that has none yet; returns the one that counts. Only inside `transaction`."""
    known = read_fingerprint(session)
    if known is None:
        with adding(session, SiteKeyRow):
            session.add(SiteKeyRow(id=1, fingerprint=fingerprint, recorded_at=now))
    return known or fingerprint


def is_in_use(session: Session) -> bool:
    """Whether the ledger holds anything of a home; works at every revision."""
    return bool(session.scalar(_IN_USE))
