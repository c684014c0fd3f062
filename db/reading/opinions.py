"""What was said of each film, by whom and as what."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.scoring.tables import LabelRow
from xray_core.reading.records import ReaderRole
from xray_core.records import Label


def read_opinions(session: Session) -> dict[int, list[tuple[str | None, ReaderRole, Label]]]:
    """Per X-ray, by its id: reader, role and label of every label row, oldest first."""
    films: defaultdict[int, list[tuple[str | None, ReaderRole, Label]]] = defaultdict(list)
    rows = session.execute(
        select(LabelRow.xray_id, LabelRow.reader, LabelRow.role, LabelRow.label).order_by(LabelRow.id)
    )
    for xray_id, reader, role, label in rows.tuples():
        films[xray_id].append((reader, role, label))
    return dict(films)
