"""Results: what models said of X-rays. Written once, sealed in the audit log, never changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import audit
from db.bulk import insert_into
from db.records import Scored, ScoredXray
from db.scoring.folders import to_film_path
from db.scoring.tables import FolderRow, IncomingFileRow, ResultRow, XrayRow, current_results
from xray_core.exchange.records import ResultLine
from xray_core.records import FileState, Outcome

_SEALED = "results-sealed"


def add_results(
    session: Session,
    scored: Sequence[tuple[int, Scored]],
    *,
    model_id: int,
    preprocessing_version: str,
    flow_run_id: str | None,
    now: datetime,
    shadow: bool = False,
) -> None:
    """Write the results of X-rays (by id); files without a score, and results that exist, change nothing."""
    rows = {
        xray_id: {
            "xray_id": xray_id,
            "model_id": model_id,
            "preprocessing_version": preprocessing_version,
            "probability": file.score.probability,
            "outcome": file.score.outcome,
            "refer_reason": file.score.refer_reason,
            "distance": file.score.distance,
            "scored_at": now,
            "flow_run_id": flow_run_id,
            "duration_ms": file.duration_ms,
            "shadow": shadow,
        }
        for xray_id, file in scored
        if file.score is not None
    }
    if not rows:
        return
    last = session.scalar(select(func.max(ResultRow.id))) or 0
    session.execute(
        insert_into(session, ResultRow).on_conflict_do_nothing(
            index_elements=["xray_id", "model_id", "preprocessing_version"]
        ),
        list(rows.values()),
    )
    _seal(session, after=last, actor=flow_run_id or "scan", now=now)


def iter_result_lines(session: Session, *, since: datetime | None = None) -> Iterator[ResultLine]:
    """One line for every current file the service decided on (since a time, if given), by name; read as a stream.

    An X-ray's probability is the champion's, else the newest one; shadow results never show.
    """
    file, today = IncomingFileRow, current_results.c
    statement = (
        select(
            file.name,
            func.coalesce(today.sha256, file.refused_sha256),
            today.patient,
            today.outcome,
            today.probability,
            today.model_version,
            today.scored_at,
            file.state,
            file.reason_code,
            today.label,
            today.labelled_by,
            today.labelled_at,
        )
        .outerjoin(current_results, today.xray_id == file.xray_id)
        .where(file.superseded_at.is_(None), file.state != FileState.NEW)
        .order_by(file.name, file.id)
    )
    if since is not None:
        statement = statement.where(file.decided_at >= since)
    for row in session.execute(statement, execution_options={"yield_per": 2000}):
        yield ResultLine(*row)


def find_broken_seal(session: Session) -> str | None:
    """The first place where the results differ from what the audit log sealed, as a sentence, or None."""
    covered = 0
    for _, detail in audit.iter_details(session, _SEALED):
        first, last = int(str(detail["first"])), int(str(detail["last"]))
        count, digest = _digest(session, after=covered, upto=last)
        if digest != detail["sha256"]:
            return (
                f"results {first} to {last}: changed since they were written ({count} rows are there, "
                f"{detail['count']} were sealed)"
            )
        covered = last
    unsealed = session.scalar(select(func.min(ResultRow.id)).where(ResultRow.id > covered))
    return None if unsealed is None else f"result {unsealed}: not written by the service, no seal covers it"


def _seal(session: Session, *, after: int, actor: str, now: datetime) -> None:
    """Put the digest of the results that this transaction added into the audit chain; writers take turns."""
    last = session.scalar(select(func.max(ResultRow.id))) or 0
    if last == after:
        return
    count, digest = _digest(session, after=after, upto=last)
    audit.append(
        session,
        actor=actor,
        action=_SEALED,
        subject="results",
        detail={"first": after + 1, "last": last, "count": count, "sha256": digest},
        now=now,
    )


def _digest(session: Session, *, after: int, upto: int) -> tuple[int, str]:
    row = ResultRow
    rows = session.execute(
        select(
            row.id,
            row.xray_id,
            row.model_id,
            row.preprocessing_version,
            row.probability,
            row.outcome,
            row.refer_reason,
            row.distance,
            row.scored_at,
            row.flow_run_id,
            row.shadow,
        )
        .where(row.id > after, row.id <= upto)
        .order_by(row.id)
    ).tuples()
    digest, count = hashlib.sha256(), 0
    for values in rows:
        count += 1
        digest.update(repr(tuple(str(value) for value in values)).encode())
    return count, digest.hexdigest()


def list_scored_xrays(session: Session, *, newest: int | None = None) -> list[ScoredXray]:
    """Every X-ray with a result that is no shadow's, by id; or the newest so many, the last one that came in first."""
    name = select(func.min(IncomingFileRow.name)).where(IncomingFileRow.xray_id == XrayRow.id).scalar_subquery()
    scored = select(ResultRow.xray_id).where(~ResultRow.shadow).distinct()
    statement = (
        select(XrayRow, FolderRow, name, current_results.c.label)
        .join(FolderRow, FolderRow.id == XrayRow.folder_id)
        .join(current_results, current_results.c.xray_id == XrayRow.id)
        .where(XrayRow.id.in_(scored))
        .order_by(XrayRow.id if newest is None else XrayRow.id.desc())
        .limit(newest)
    )
    return [
        ScoredXray(
            xray_id=row.id,
            sha256=row.sha256,
            path=to_film_path(folder, row.path),
            name=file,
            patient=row.patient,
            label=label,
            file_format=row.file_format,
            width=row.width,
            height=row.height,
        )
        for row, folder, file, label in session.execute(statement).tuples()
    ]


def read_scores(session: Session, model_id: int, preprocessing_version: str) -> dict[int, tuple[float, Outcome]]:
    """What a model has said, by X-ray id; in the shadow too."""
    row = ResultRow
    rows = session.execute(
        select(row.xray_id, row.probability, row.outcome).where(
            row.model_id == model_id, row.preprocessing_version == preprocessing_version
        )
    )
    return {xray_id: (probability, outcome) for xray_id, probability, outcome in rows.tuples()}
