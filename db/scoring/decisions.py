"""The ledger of incoming files: what is known, who works on what, and what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from db.bulk import pieces, table_of, write_rows
from db.records import RefusedFile, Scored
from db.scoring import patients, results, xrays
from db.scoring.tables import IS_UNDECIDED, IncomingFileRow, ResultRow, XrayRow
from db.sealing import changing
from xray_core.records import FileState, ReasonCode, unescape_name

DECIDED = (FileState.SCORED, FileState.REJECTED)


_NO_CLAIM: dict[str, None] = {"claimed_by": None, "claimed_until": None}


# What a file starts from, before anything was decided about it.
UNDECIDED: dict[str, Any] = {
    "state": FileState.NEW,
    "reason_code": None,
    "reason_detail": None,
    "refused_sha256": None,
    "decided_at": None,
    "deferred_since": None,
    "retry_at": None,
    "tries": 0,
}


_OF_ONE_FILE = update(table_of(IncomingFileRow)).where(IncomingFileRow.id == bindparam("file_id"))


def record_batch(
    session: Session,
    *,
    scored: Sequence[Scored],
    refused: Sequence[RefusedFile],
    scanner: str,
    model_id: int | None,
    preprocessing_version: str | None,
    folder_id: int,
    flow_run_id: str | None,
    now: datetime,
) -> None:
    """Write what became of claimed files: X-rays, results, states and reasons, and give the claims back.

    Only files that this scanner still holds are touched: what another has taken over is the other's to write.
    A result that exists already stays as it is. `folder_id` is the incoming folder's.
    """
    held = _read_held(session, [file.claimed.file_id for file in scored] + [file.file_id for file in refused], scanner)
    mine = [file for file in scored if file.claimed.file_id in held]
    with changing(session, IncomingFileRow, list(held)):
        if mine:
            xray_ids = xrays.add_read_xrays(
                session, [(file, held[file.claimed.file_id].name) for file in mine], folder_id=folder_id, now=now
            )
            patients.add_sidecars(
                session,
                {file.sha256: (held[file.claimed.file_id].name, *file.sidecar) for file in mine if file.sidecar},
                now=now,
            )
            patients.apply_to_arrivals(
                session, {file.sha256: held[file.claimed.file_id].name for file in mine}, now=now
            )
            if model_id is not None and preprocessing_version is not None:
                results.add_results(
                    session,
                    [(xray_ids[file.sha256], file) for file in mine],
                    model_id=model_id,
                    preprocessing_version=preprocessing_version,
                    flow_run_id=flow_run_id,
                    now=now,
                )
            _mark_scored(session, mine, xray_ids, now)
        _mark_refused(session, [file for file in refused if file.file_id in held], held, now)


def find_scored(session: Session, sha256s: Sequence[str], model_id: int, preprocessing_version: str) -> set[str]:
    """Which of these contents have a result of this model and preprocessing."""
    found: set[str] = set()
    for part in pieces(sha256s):
        found.update(
            session.scalars(
                select(XrayRow.sha256)
                .join(ResultRow, ResultRow.xray_id == XrayRow.id)
                .where(
                    XrayRow.sha256.in_(part),
                    ResultRow.model_id == model_id,
                    ResultRow.preprocessing_version == preprocessing_version,
                )
            )
        )
    return found


def find_overdue(session: Session, *, folder_id: int, before: datetime, limit: int = 1000) -> list[tuple[int, str]]:
    """Files (id, escaped name) that should have been looked at by then and were not: they may be gone."""
    rows = session.execute(
        select(IncomingFileRow.id, IncomingFileRow.name)
        .where(
            IncomingFileRow.folder_id == folder_id,
            IncomingFileRow.superseded_at.is_(None),
            IS_UNDECIDED,
            func.coalesce(IncomingFileRow.retry_at, IncomingFileRow.first_seen_at) < before,
            or_(IncomingFileRow.claimed_until.is_(None), IncomingFileRow.claimed_until < before),
        )
        .order_by(IncomingFileRow.retry_at, IncomingFileRow.id)  # in the order of the index that holds them alone
        .limit(limit)
    )
    return [(file_id, name) for file_id, name in rows]


def find_due(session: Session, folder_id: int, now: datetime, *, limit: int) -> list[bytes]:
    """The names of files to be looked at now that were seen before: deferred ones, and those that nobody holds."""
    row = IncomingFileRow
    names = session.scalars(
        select(row.name)
        .where(
            row.folder_id == folder_id,
            row.superseded_at.is_(None),
            IS_UNDECIDED,
            or_(row.retry_at.is_(None), row.retry_at <= now),
            or_(row.claimed_until.is_(None), row.claimed_until < now),
        )
        .order_by(row.retry_at, row.id)
        .limit(limit)
    )
    return [unescape_name(name) for name in names]


def mark_gone(session: Session, file_ids: Sequence[int], *, now: datetime) -> None:
    """Close undecided files that are no longer in the folder: they stay in the results as rejected, GONE.

    Their size becomes -1 and their signature nothing, so the same file, should it come back, is a new one: a file
    that went away is never refused for that.
    """
    for part in pieces(file_ids):
        with changing(session, IncomingFileRow, part):
            session.execute(
                update(IncomingFileRow)
                .where(IncomingFileRow.id.in_(part), IncomingFileRow.state.in_((FileState.NEW, FileState.DEFERRED)))
                .values(
                    state=FileState.REJECTED,
                    reason_code=ReasonCode.GONE,
                    reason_detail="no longer in the folder",
                    size=-1,
                    signature=0,
                    decided_at=now,
                    retry_at=None,
                    **_NO_CLAIM,
                )
                .execution_options(synchronize_session=False)
            )


def _read_held(session: Session, file_ids: Sequence[int], scanner: str) -> dict[int, _Held]:
    """The name and first deferral of those files that this scanner still holds."""
    row = IncomingFileRow
    held: dict[int, _Held] = {}
    for part in pieces(file_ids):
        found = session.execute(
            select(row.id, row.name, row.deferred_since, row.tries).where(row.id.in_(part), row.claimed_by == scanner)
        )
        held |= {file_id: _Held(name, since, tries) for file_id, name, since, tries in found.tuples()}
    return held


class _Held(NamedTuple):
    """A file in this scanner's hands."""

    name: str
    deferred_since: datetime | None
    tries: int


def past(time: datetime | None, now: datetime) -> datetime | None:
    """A time that has been; None for one that a wrong clock put into the future."""
    return time if time is not None and time <= now else None


def _mark_scored(session: Session, files: Sequence[Scored], xray_ids: dict[str, int], now: datetime) -> None:
    scored = UNDECIDED | _NO_CLAIM | {"state": FileState.SCORED, "decided_at": now}
    write_rows(
        session,
        _OF_ONE_FILE,
        [scored | {"file_id": file.claimed.file_id, "xray_id": xray_ids[file.sha256]} for file in files],
    )


def _mark_refused(session: Session, files: Sequence[RefusedFile], held: dict[int, _Held], now: datetime) -> None:
    if not files:
        return
    write_rows(session, _OF_ONE_FILE, [_refusal(file, held[file.file_id], now) for file in files])


def _refusal(file: RefusedFile, held: _Held, now: datetime) -> dict[str, Any]:
    deferred = file.retry_at is not None
    return {
        "file_id": file.file_id,
        "state": FileState.DEFERRED if deferred else FileState.REJECTED,
        "reason_code": file.refusal.reason,
        "reason_detail": file.refusal.detail,
        "refused_sha256": file.sha256,
        "decided_at": now,
        "deferred_since": (past(held.deferred_since, now) or now) if deferred else held.deferred_since,
        "retry_at": file.retry_at,
        "tries": held.tries + 1,
        **_NO_CLAIM,
    }
