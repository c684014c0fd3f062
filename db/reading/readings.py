"""Everything that readers with a name said, with how it was read; for what is reported of readers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, aliased

from db.bulk import pieces
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


def read_groups(session: Session, xray_ids: Sequence[int]) -> dict[int, str]:
    """The patient of each of these X-rays, or the film itself where nobody knows."""
    groups: dict[int, str] = {}
    for part in pieces(xray_ids):
        asked = select(XrayRow.id, XrayRow.patient, XrayRow.sha256).where(XrayRow.id.in_(part))
        rows = session.connection().execute(asked).all()
        groups |= {xray_id: patient or name_content_group(sha256) for xray_id, patient, sha256 in rows}
    return groups


def read_readings(session: Session, *, among: Select[tuple[int]] | None = None) -> list[Reading]:
    """Every label row with a reader's name (of the X-rays that `among` finds), oldest first.

    Labels of a dataset are nobody's reading.
    """
    row, item, of, xray, result = LabelRow, ReadingListItemRow, ReadingListRow, XrayRow, aliased(ResultRow)
    sizes = dict(session.execute(select(item.list_id, func.count()).group_by(item.list_id)).tuples().all())
    fold = cache(fold_name)
    shown = (
        select(result.outcome)
        .where(result.xray_id == row.xray_id, result.shadow.is_(False), result.scored_at <= row.imported_at)
        .order_by(result.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    said = (
        select(
            *(row.xray_id, xray.patient, xray.sha256, row.reader, row.role, row.label, row.score_visible, row.seconds),
            *(row.list_item_id, of.purpose, item.reason, item.reveal, row.source, item.position, item.list_id),
            shown,
        )
        .join(xray, xray.id == row.xray_id)
        .outerjoin(item, item.id == row.list_item_id)
        .outerjoin(of, of.id == item.list_id)
        .where(row.reader.is_not(None), row.source != "dataset")
        .order_by(row.id)
    )
    rows = session.execute(said if among is None else said.where(row.xray_id.in_(among)))
    return [_to_reading(found, fold, sizes) for found in rows.tuples()]


def _to_reading(found: tuple[Any, ...], fold: Callable[[str], str], sizes: Mapping[int, int]) -> Reading:
    """By place: there may be fifty thousand, and asking a row for a name takes as long as all the rest."""
    xray_id, patient, sha256, reader, role, label, visible, seconds, *listed = found
    item_id, purpose, reason, reveal, source, position, list_id, shown = listed
    return Reading(
        xray_id,
        patient or name_content_group(sha256),
        fold(reader),
        role,
        label,
        visible,
        seconds,
        item_id,
        purpose,
        reason,
        bool(reveal) and source == "page",  # a folder reveals nothing
        position,
        sizes.get(list_id),
        shown,
    )
