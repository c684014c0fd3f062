"""Everything that readers with a name said, with how it was read; for what is reported of readers."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from db.reading.readers import list_readers
from db.reading.tables import ReadingListItemRow, ReadingListRow
from db.scoring.tables import LabelRow, ResultRow, XrayRow
from xray_core.reading.records import Reading, fold_name
from xray_core.records import name_content_group


def read_names(session: Session) -> dict[str, str]:
    """Each reader's name as it was first written, by the folded name; those who were added here first."""
    row = LabelRow
    first = select(row.reader, func.min(row.id)).where(row.reader.is_not(None)).group_by(row.reader)
    written = [name or "" for name, _ in sorted(session.execute(first).tuples(), key=lambda found: found[1])]
    return {fold_name(name): name for name in [*reversed(written), *list_readers(session)]}


def read_readings(session: Session) -> list[Reading]:
    """Every label row with a reader's name, oldest first; labels of a dataset are nobody's reading."""
    row, item, of, xray, result = LabelRow, ReadingListItemRow, ReadingListRow, XrayRow, aliased(ResultRow)
    sizes = select(item.list_id, func.count().label("size")).group_by(item.list_id).subquery()
    shown = (
        select(result.outcome)
        .where(result.xray_id == row.xray_id, result.shadow.is_(False), result.scored_at <= row.imported_at)
        .order_by(result.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = session.execute(
        select(row, xray.sha256, xray.patient, item, of.purpose, sizes.c.size, shown)
        .join(xray, xray.id == row.xray_id)
        .outerjoin(item, item.id == row.list_item_id)
        .outerjoin(of, of.id == item.list_id)
        .outerjoin(sizes, sizes.c.list_id == item.list_id)
        .where(row.reader.is_not(None), row.source != "dataset")
        .order_by(row.id)
    )
    return [
        Reading(
            xray_id=label.xray_id,
            group=patient or name_content_group(sha256),
            reader=fold_name(label.reader or ""),
            role=label.role,
            label=label.label,
            score_visible=label.score_visible,
            seconds=label.seconds,
            item_id=label.list_item_id,
            purpose=purpose,
            reason=listed.reason if listed else None,
            reveal=bool(listed and listed.reveal) and label.source == "page",  # a folder reveals nothing
            position=listed.position if listed else None,
            list_size=size,
            shown=outcome,
        )
        for label, sha256, patient, listed, purpose, size, outcome in rows.tuples()
    ]
