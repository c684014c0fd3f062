"""What was said of each film, by whom and as what."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.reading.tables import ReadingListItemRow, ReadingListRow
from db.scoring.tables import LabelRow
from xray_core.reading.records import LabelSource, ListPurpose, Opinion


def read_opinions(session: Session, *, upto: int | None = None) -> dict[int, list[Opinion]]:
    """Per X-ray, by its id: every label row up to the one with this id (all without one), oldest first."""
    films: defaultdict[int, list[Opinion]] = defaultdict(list)
    row, item, of = LabelRow, ReadingListItemRow, ReadingListRow
    said = (
        select(
            row.xray_id,
            row.reader,
            row.role,
            row.label,
            row.source,
            row.score_visible,
            row.sure,
            row.exclude_reason,
            of.purpose,
        )
        .outerjoin(item, item.id == row.list_item_id)
        .outerjoin(of, of.id == item.list_id)
        .order_by(row.id)
    )
    rows = session.execute(said if upto is None else said.where(row.id <= upto))
    for xray_id, reader, role, label, source, visible, sure, why, purpose in rows.tuples():
        again = purpose is ListPurpose.AGAIN
        films[xray_id].append(Opinion(reader, role, label, LabelSource(source), visible, sure, why, again))
    return dict(films)
