"""X-rays that models have scored: which they are, what each model said of them, and which came in last."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.schema import IncomingFileRow, ResultRow, XrayRow, current_results
from xray_core.records import Outcome, ScoredXray


def list_scored_xrays(session: Session, *, newest: int | None = None) -> list[ScoredXray]:
    """Every X-ray with a result that is no shadow's, by id; or the newest so many, the last one that came in first."""
    name = select(func.min(IncomingFileRow.name)).where(IncomingFileRow.xray_id == XrayRow.id).scalar_subquery()
    scored = select(ResultRow.xray_id).where(~ResultRow.shadow).distinct()
    statement = (
        select(XrayRow, name, current_results.c.label)
        .join(current_results, current_results.c.xray_id == XrayRow.id)
        .where(XrayRow.id.in_(scored))
        .order_by(XrayRow.id if newest is None else XrayRow.id.desc())
        .limit(newest)
    )
    return [
        ScoredXray(
            xray_id=row.id,
            sha256=row.sha256,
            path=row.path,
            name=file,
            patient=row.patient,
            label=label,
            file_format=row.file_format,
            width=row.width,
            height=row.height,
        )
        for row, file, label in session.execute(statement).tuples()
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
