"""The audit log: who did what and when, each entry chained to the one before by its SHA-256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    String,
    select,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from db.columns import Base, Id

# What the first entry is chained to.
_NOTHING = "0" * 64


def append(
    session: Session, *, actor: str, action: str, subject: str, detail: Mapping[str, object], now: datetime
) -> None:
    """Add an entry at the end of the chain. `detail` must fit JSON and hold no patient data.

    Only inside `transaction`, where writers take turns; two entries on one predecessor fail at the unique key.
    """
    position, previous = head(session)
    entry = AuditRow(
        position=position + 1,
        at=now,
        actor=actor,
        action=action,
        subject=subject,
        detail=json.dumps(detail, sort_keys=True, separators=(",", ":")),
        previous_sha256=previous,
    )
    entry.sha256 = _digest(entry)
    session.add(entry)
    session.flush()


def head(session: Session) -> tuple[int, str]:
    """The last position and its SHA-256: written down elsewhere, it shows whether the log's end was cut off."""
    found = session.execute(
        select(AuditRow.position, AuditRow.sha256).order_by(AuditRow.position.desc()).limit(1)
    ).one_or_none()
    return (0, _NOTHING) if found is None else (found.position, found.sha256)


def head_sha256(session: Session) -> str:
    """The SHA-256 of the last entry; zeros while the log is empty."""
    return head(session)[1]


def verify_chain(session: Session) -> int | None:
    """The first position that is missing, altered or wrongly chained; None when the whole chain holds."""
    expected, previous = 1, _NOTHING
    for entry in session.scalars(select(AuditRow).order_by(AuditRow.position), execution_options={"yield_per": 1000}):
        sound = entry.position == expected and entry.previous_sha256 == previous and entry.sha256 == _digest(entry)
        if not sound:
            return expected
        expected, previous = expected + 1, entry.sha256
        session.expunge(entry)
    return None


def iter_details(session: Session, action: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Position and detail of every entry of one action, in order."""
    rows = session.execute(
        select(AuditRow.position, AuditRow.detail).where(AuditRow.action == action).order_by(AuditRow.position)
    )
    for position, detail in rows.tuples():
        yield position, json.loads(detail)


def _digest(entry: AuditRow) -> str:
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    parts = [entry.position, at, entry.actor, entry.action, entry.subject, entry.detail, entry.previous_sha256]
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()


class AuditRow(Base):
    """One link of the audit chain; positions are 1, 2, 3 without a gap."""

    __tablename__ = "audit_log"

    position: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[str]
    previous_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    sha256: Mapped[str] = mapped_column(String(64))
