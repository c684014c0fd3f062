"""The ledger of incoming files: what is known, who works on what, and what was decided."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from sqlalchemy import and_, func, insert, or_, select, update
from sqlalchemy.orm import Session

from db import results, xrays
from db.bulk import pieces
from db.schema import IncomingFileRow, ResultRow, XrayRow, current_results
from xray_core.intake import escape_name
from xray_core.records import (
    ClaimedFile,
    FileHistory,
    FileSeen,
    FileState,
    ReasonCode,
    RefusedFile,
    ScoredFile,
)

_DECIDED = (FileState.SCORED, FileState.REJECTED)
_NO_CLAIM: dict[str, None] = {"claimed_by": None, "claimed_until": None}
# Literal, so that SQLite sees that the partial index holds all it needs.
_KNOWN = (
    "SELECT signature FROM incoming_files WHERE superseded_at IS NULL AND state <> 'new' "
    "AND (retry_at IS NULL OR retry_at > :now) ORDER BY signature"
)


def decided_signatures(session: Session, now: datetime) -> array[int]:
    """The signatures, ascending, of all files that need no work now: scored, rejected, or deferred until later.

    Read from an index alone, row by row: 8 bytes of memory per known file.
    """
    known = array("q")
    statement = select(IncomingFileRow.signature).where(
        IncomingFileRow.superseded_at.is_(None),
        IncomingFileRow.state != "new",
        or_(IncomingFileRow.retry_at.is_(None), IncomingFileRow.retry_at > now),
    )
    for part in session.scalars(
        statement.order_by(IncomingFileRow.signature), execution_options={"yield_per": 10_000}
    ).partitions():
        known.extend(part)
    return known


def claim_files(
    session: Session,
    files: Sequence[tuple[FileSeen, int]],
    *,
    scanner: str,
    now: datetime,
    lease_seconds: float,
    is_alive: Callable[[str], bool],
) -> list[ClaimedFile]:
    """Reserve for this scanner what nobody else works on, and return it; each file comes with its signature.

    A name never seen before gets a row. One whose size or mtime changed gets a new row if the old version was
    decided (that one is then superseded), else its row starts again. Skipped are files that were decided
    meanwhile, that are deferred until later, or that another living scanner holds.
    """
    offered = {escape_name(seen.name): (seen, signature) for seen, signature in files}
    known = {row.name: row for row in _read_current(session, list(offered))}
    alive = _Alive(is_alive)
    plan = _Plan()
    for name, (seen, signature) in offered.items():
        row = known.get(name)
        if row is None:
            plan.added.append(_describe(seen, signature) | {"name": name, "first_seen_at": now})
        elif _is_held(row, scanner, now, alive):
            continue
        elif (row.size, row.mtime_ns) == (seen.size, seen.mtime_ns):
            if row.state not in _DECIDED and (row.retry_at is None or row.retry_at <= now):
                plan.taken.append(row.id)
                plan.claimed.append(ClaimedFile(row.id, seen, row.deferred_since, row.tries))
        elif row.state in _DECIDED:
            plan.replaced.append(row.id)
            plan.added.append(_describe(seen, signature) | {"name": name, "first_seen_at": now})
        else:
            plan.changed.append(_describe(seen, signature) | {"id": row.id})
            plan.claimed.append(ClaimedFile(row.id, seen, None, 0))
    claim = {"claimed_by": scanner, "claimed_until": now + timedelta(seconds=lease_seconds)}
    ids = _apply(session, plan, claim, now)
    added = [ClaimedFile(ids[row["name"]], offered[row["name"]][0], None, 0) for row in plan.added]
    order = {seen.name: place for place, (seen, _) in enumerate(offered.values())}
    return sorted(plan.claimed + added, key=lambda claimed: order[claimed.seen.name])


def record_batch(
    session: Session,
    *,
    scored: Sequence[ScoredFile],
    refused: Sequence[RefusedFile],
    scanner: str,
    model_id: int | None,
    preprocessing_version: str | None,
    incoming_dir: str,
    flow_run_id: str | None,
    now: datetime,
) -> None:
    """Write what became of claimed files: X-rays, results, states and reasons, and give the claims back.

    Only files that this scanner still holds are touched: what another has taken over is the other's to write.
    A result that exists already stays as it is. `incoming_dir` is unescaped.
    """
    held = _read_held(session, [file.read.file_id for file in scored] + [file.file_id for file in refused], scanner)
    mine = [file for file in scored if file.read.file_id in held]
    if mine:
        folder = escape_name(os.fsencode(incoming_dir))
        xray_ids = xrays.add_read_xrays(
            session, [(file.read, f"{folder}/{held[file.read.file_id].name}") for file in mine], now=now
        )
        if model_id is not None and preprocessing_version is not None:
            results.add_results(
                session,
                [(xray_ids[file.read.sha256], file) for file in mine],
                model_id=model_id,
                preprocessing_version=preprocessing_version,
                flow_run_id=flow_run_id,
                now=now,
            )
        _mark_scored(session, mine, xray_ids, now)
    _mark_refused(session, [file for file in refused if file.file_id in held], held, now)


def find_scored(
    session: Session, sha256s: Sequence[str], model_id: int, preprocessing_version: str
) -> set[str]:
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


def find_overdue(session: Session, *, before: datetime, limit: int = 1000) -> list[tuple[int, str]]:
    """Files (id, escaped name) that should have been looked at by then and were not: they may be gone."""
    rows = session.execute(
        select(IncomingFileRow.id, IncomingFileRow.name)
        .where(
            IncomingFileRow.superseded_at.is_(None),
            IncomingFileRow.state.in_((FileState.NEW, FileState.DEFERRED)),
            func.coalesce(IncomingFileRow.retry_at, IncomingFileRow.first_seen_at) < before,
            or_(IncomingFileRow.claimed_until.is_(None), IncomingFileRow.claimed_until < before),
        )
        .order_by(IncomingFileRow.id)
        .limit(limit)
    )
    return [(file_id, name) for file_id, name in rows]


def mark_gone(session: Session, file_ids: Sequence[int], *, now: datetime) -> None:
    """Close undecided files that are no longer in the folder: GONE, and superseded by nothing.

    Should the same file come back it is a new one: a file that went away is never refused for that.
    """
    for part in pieces(file_ids):
        session.execute(
            update(IncomingFileRow)
            .where(
                IncomingFileRow.id.in_(part), IncomingFileRow.state.in_((FileState.NEW, FileState.DEFERRED))
            )
            .values(
                state=FileState.REJECTED,
                reason_code=ReasonCode.GONE,
                reason_detail="no longer in the folder",
                decided_at=now,
                retry_at=None,
                superseded_at=now,
                **_NO_CLAIM,
            )
            .execution_options(synchronize_session=False)
        )


def explain_file(session: Session, name: str) -> list[FileHistory]:
    """All versions of a file by its escaped name, the newest first, each with its X-ray's result of today."""
    row, today = IncomingFileRow, current_results.c
    rows = session.execute(
        select(row, today.sha256, today.probability, today.outcome, today.model_version, today.label)
        .outerjoin(current_results, today.xray_id == row.xray_id)
        .where(_named([name]))
        .order_by(row.id.desc())
    )
    return [
        FileHistory(
            file_id=file.id,
            name=file.name,
            size=file.size,
            mtime_ns=file.mtime_ns,
            state=file.state,
            reason_code=file.reason_code,
            reason_detail=file.reason_detail,
            xray_sha256=sha256 or file.refused_sha256,
            first_seen_at=file.first_seen_at,
            decided_at=file.decided_at,
            retry_at=file.retry_at,
            tries=file.tries,
            claimed_by=file.claimed_by,
            superseded_at=file.superseded_at,
            probability=probability,
            outcome=outcome,
            model_version=model_version,
            label=label,
        )
        for file, sha256, probability, outcome, model_version, label in rows
    ]


def count_states(session: Session) -> dict[FileState, int]:
    """How many current files stand in each state; every state is there."""
    counts = dict(
        session.execute(
            select(IncomingFileRow.state, func.count())
            .where(IncomingFileRow.superseded_at.is_(None))
            .group_by(IncomingFileRow.state)
        )
        .tuples()
        .all()
    )
    return {state: counts.get(state, 0) for state in FileState}


def count_reasons(session: Session) -> dict[ReasonCode, int]:
    """How many current files were deferred or rejected, by reason."""
    rows = session.execute(
        select(IncomingFileRow.reason_code, func.count())
        .where(IncomingFileRow.superseded_at.is_(None), IncomingFileRow.reason_code.is_not(None))
        .group_by(IncomingFileRow.reason_code)
    )
    return {code: count for code, count in rows.tuples() if code is not None}
