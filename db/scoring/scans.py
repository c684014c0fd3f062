"""Scans: when the folder was last looked at, and what came of it; for `xray status` and its watchdog."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.records import ScanRecord
from db.scoring.tables import ScanRow
from db.sealing import adding, changing


def record_scan(
    session: Session,
    *,
    started_at: datetime,
    finished_at: datetime,
    scored: int,
    rejected: int,
    deferred: int,
    problem: str | None,
) -> None:
    """Write down one scan. Scans in a row that did nothing, for the same reason, share one row: once a minute
    must not fill a table."""
    row = ScanRow
    last = session.scalar(select(row).order_by(row.id.desc()).limit(1))
    idle = not (scored or rejected or deferred)
    if last is not None and idle and _is_idle(last) and last.problem == problem:
        session.execute(update(row).where(row.id == last.id).values(finished_at=finished_at, scans=last.scans + 1))
        return
    # With a row after it, the last one is closed.
    with changing(session, row, [last.id] if last else []), adding(session, row):
        session.add(
            row(
                started_at=started_at,
                finished_at=finished_at,
                scans=1,
                scored=scored,
                rejected=rejected,
                deferred=deferred,
                problem=problem,
            )
        )


def last_scan(session: Session) -> ScanRecord | None:
    """The scan that was recorded last."""
    row = session.scalar(select(ScanRow).order_by(ScanRow.id.desc()).limit(1))
    return None if row is None else _to_record(row)


def last_good_scan(session: Session) -> ScanRecord | None:
    """The last scan that ended without a problem; `finished_at` is when the folder was last seen to the end."""
    row = session.scalar(select(ScanRow).where(ScanRow.problem.is_(None)).order_by(ScanRow.id.desc()).limit(1))
    return None if row is None else _to_record(row)


def _is_idle(row: ScanRow) -> bool:
    return not (row.scored or row.rejected or row.deferred)


def _to_record(row: ScanRow) -> ScanRecord:
    return ScanRecord(
        started_at=row.started_at,
        finished_at=row.finished_at,
        scans=row.scans,
        scored=row.scored,
        rejected=row.rejected,
        deferred=row.deferred,
        problem=row.problem,
    )
