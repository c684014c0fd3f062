"""The audit log: who did what and when, each entry chained to the one before under a key outside the database."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from db.columns import Base, Id
from xray_core.errors import LedgerAltered

# Entries of seals made of what was found; the first of them began the keyed chain of an older ledger.
SEALED_ANEW = "sealed-anew"
_ANCHOR = "xray_anchor"
_HEAD = "xray_head"

# What the first entry is chained to.
_NOTHING = "0" * 64


@dataclass(frozen=True, slots=True)
class Anchor:
    """What the chain hangs on outside the database: the key of its entries, and where the last head is kept.

    `head_file` holds the newest entry that this home has written; None keeps none, for a copy that is only read.
    """

    key: bytes
    head_file: Path | None = None


def with_anchor(engine: Engine, anchor: Anchor | None) -> Engine:
    """The same engine, whose sessions write and check the chain with this anchor."""
    return engine if anchor is None else engine.execution_options(**{_ANCHOR: anchor})


def anchor_of(session: Session) -> Anchor:
    """The session's anchor; LookupError for an engine that was opened without one, to read only."""
    found: Anchor | None = session.connection().get_execution_options().get(_ANCHOR)
    if found is None:
        raise LookupError("this engine was opened without an anchor: it can read, but neither write nor verify")
    return found


def append(
    session: Session, *, actor: str, action: str, subject: str, detail: Mapping[str, object], now: datetime
) -> None:
    """Add an entry at the end of the chain. `detail` must fit JSON and hold no patient data.

    Only inside `transaction`, where writers take turns; two entries on one predecessor fail at the unique key.
    Raises LedgerAltered when the log has lost an entry that this home wrote: nothing may be built on such a ledger.
    """
    anchor = anchor_of(session)
    if _HEAD not in session.info and (sentence := find_lost_head(session)):
        raise LedgerAltered(sentence)
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
    entry.sha256 = _digest(entry, anchor.key)
    session.add(entry)
    session.flush()
    session.info[_HEAD] = (entry.position, entry.sha256)


def keep_head(session: Session, engine: Engine) -> None:
    """Keep the last entry of a committed transaction outside the database; the end of every `transaction`.

    Until it is kept, by a kill or a full disk, the file holds an older entry: it then proves a little less.
    """
    written: tuple[int, str] | None = session.info.pop(_HEAD, None)
    anchor: Anchor | None = engine.get_execution_options().get(_ANCHOR)
    if written is None or anchor is None or anchor.head_file is None:
        return
    with suppress(OSError):
        descriptor = os.open(anchor.head_file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(descriptor, b"%020d %b\n" % (written[0], written[1].encode()), 0)
        finally:
            os.close(descriptor)


def read_kept_head(path: Path) -> tuple[int, str] | None:
    """The entry (position, SHA-256) that was kept outside; None where there is no such file yet."""
    try:
        position, sha256 = path.read_text().split()
        return int(position), sha256
    except FileNotFoundError:
        return None
    except ValueError:
        return (0, f"unreadable {path.name}")


def find_lost_head(session: Session) -> str | None:
    """A sentence when the log lacks the entry that this home kept outside the database."""
    path = anchor_of(session).head_file
    kept = None if path is None else read_kept_head(path)
    if kept is None or has_entry(session, kept[1]):
        return None
    return (
        f"audit log: this home has seen entry {kept[0]} ({kept[1][:16]}), which is not in the database: it is an "
        f"older copy, or its end was cut off; restore the newest backup, or, if this state is meant, remove {path}"
    )


def has_entry(session: Session, sha256: str) -> bool:
    """Whether the chain has an entry with this SHA-256; zeros stand for the log before its first entry."""
    return sha256 == _NOTHING or session.scalar(select(AuditRow.position).where(AuditRow.sha256 == sha256)) is not None


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
    """The first position that is missing, altered or wrongly chained; None when the whole chain holds.

    What an older version wrote, before the first seal, is chained without a key; that seal itself has one.
    """
    key, keyed_from = anchor_of(session).key, find_keyed_from(session)
    expected, previous = 1, _NOTHING
    for entry in session.scalars(select(AuditRow).order_by(AuditRow.position), execution_options={"yield_per": 200}):
        digest = _digest(entry, key if entry.position >= keyed_from else None)
        if entry.position != expected or entry.previous_sha256 != previous or entry.sha256 != digest:
            return expected
        expected, previous = expected + 1, entry.sha256
        session.expunge(entry)
    return None


def find_keyed_from(session: Session) -> int:
    """The first position that is chained under the key: 1, but in a ledger from before there were seals its first seal.

    Who has no key cannot make a keyed ledger look like an older one: the seal that would then begin the chain names
    the digest of the entry before it, which had a key.
    """
    first = session.scalar(select(AuditRow).where(AuditRow.position == 1))
    if first is not None and first.sha256 == _digest(first, anchor_of(session).key):
        return 1
    return session.scalar(select(func.min(AuditRow.position)).where(AuditRow.action == SEALED_ANEW)) or 1


def sealed_since(session: Session) -> datetime | None:
    """When an older ledger was first sealed, as it was found then; None: sealed from the start."""
    began = find_keyed_from(session)
    return session.scalar(select(AuditRow.at).where(AuditRow.position == began)) if began > 1 else None


def find_doubtful_seals(session: Session) -> Iterator[str]:
    """What did not hold when a migration sealed everything anew, one sentence each: no seal makes it good."""
    began = find_keyed_from(session)
    rows = session.execute(
        select(AuditRow.position, AuditRow.at, AuditRow.detail)
        .where(AuditRow.action == SEALED_ANEW)
        .order_by(AuditRow.position)
    )
    for position, at, detail in rows.tuples():
        if (note := json.loads(detail)["note"]) is not None:
            when = "sealing began" if position == began > 1 else "a migration sealed it anew"
            yield f"history before {at:%Y-%m-%d %H:%M} UTC, when {when}, did not hold: {note}"


def iter_details(session: Session, *actions: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Action, subject and detail of every entry of these actions, in order."""
    rows = session.execute(
        select(AuditRow.action, AuditRow.subject, AuditRow.detail)
        .where(AuditRow.action.in_(actions))
        .order_by(AuditRow.position),
        execution_options={"yield_per": 200},
    )
    for action, subject, detail in rows.tuples():
        yield action, subject, json.loads(detail)


def _digest(entry: AuditRow, key: bytes | None) -> str:
    """The entry's HMAC-SHA256 under the key (RFC 2104); its bare SHA-256 as older versions wrote it."""
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    parts = [entry.position, at, entry.actor, entry.action, entry.subject, entry.detail, entry.previous_sha256]
    message = json.dumps(parts, separators=(",", ":")).encode()
    return hashlib.sha256(message).hexdigest() if key is None else hmac.new(key, message, "sha256").hexdigest()


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
