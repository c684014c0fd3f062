"""What was said of each film, by whom and as what."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.scoring.tables import LabelRow
from xray_core.reading.records import LabelSource, Opinion


def read_opinions(session: Session, *, upto: int | None = None) -> dict[int, list[Opinion]]:
    """Per X-ray, by its id: every label row up to the one with this id (all without one), oldest first."""
    films: defaultdict[int, list[Opinion]] = defaultdict(list)
    row = LabelRow
    said = select(row.xray_id, row.reader, row.role, row.label, row.source, row.score_visible).order_by(row.id)
    for xray_id, reader, role, label, source, visible in session.execute(
        said if upto is None else said.where(row.id <= upto)
    ).tuples():
        films[xray_id].append(Opinion(reader, role, label, LabelSource(source), visible))
    return dict(films)
