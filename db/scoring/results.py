"""Results: what models said of X-rays. Written once, sealed, never changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.bulk import insert_into
from db.records import Scored, ScoredXray
from db.scoring.folders import to_film_path
from db.scoring.tables import FolderRow, IncomingFileRow, ResultRow, XrayRow
from db.scoring.views import current_results
from db.sealing import adding
from xray_core.exchange.records import ResultLine
from xray_core.records import FileState, Outcome


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
            "study": file.study,
            "image": file.image,
        }
        for xray_id, file in scored
        if file.score is not None
    }
    if not rows:
        return
    with adding(session, ResultRow):
        session.execute(
            insert_into(session, ResultRow).on_conflict_do_nothing(
                index_elements=["xray_id", "model_id", "preprocessing_version"]
            ),
            list(rows.values()),
        )


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
            today.refer_reason,
            today.study,
            today.image,
        )
        .outerjoin(current_results, today.xray_id == file.xray_id)
        .where(file.superseded_at.is_(None), file.state != FileState.NEW)
        .order_by(file.name, file.id)
    )
    if since is not None:
        statement = statement.where(file.decided_at >= since)
    for row in session.execute(statement, execution_options={"yield_per": 2000}):
        yield ResultLine(*row)


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


def read_scores(
    session: Session, model_id: int, preprocessing_version: str
) -> dict[int, tuple[float, Outcome, str | None]]:
    """What a model has said, by X-ray id, and why it referred; in the shadow too."""
    row = ResultRow
    rows = session.execute(
        select(row.xray_id, row.probability, row.outcome, row.refer_reason).where(
            row.model_id == model_id, row.preprocessing_version == preprocessing_version
        )
    )
    return {xray_id: (probability, outcome, reason) for xray_id, probability, outcome, reason in rows.tuples()}
