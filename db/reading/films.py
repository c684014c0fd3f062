"""What a reading list is made of: scored films with their labels, and what each reader has read."""

from __future__ import annotations

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session, aliased

from db.reading.labelled import read_labelled
from db.reading.tables import ReadingListItemRow, ReadingListRow
from db.scoring import xrays
from db.scoring.tables import LabelRow, ResultRow
from db.scoring.views import current_results
from xray_core.promotion.policy import LabelRules
from xray_core.reading.reading_list import OwnReading, ScoredFilm
from xray_core.reading.records import ChosenFilm, ListReason
from xray_core.records import Split, is_unlike, name_content_group


def list_scored_films(session: Session, model_id: int) -> list[ScoredFilm]:
    """Every X-ray that the champion scored; its shadow's outcome is the newest there is."""
    learned = _find_learned(session)
    today, shadow = current_results.c, aliased(ResultRow)
    newest = (
        select(func.max(shadow.id))
        .where(shadow.xray_id == today.xray_id, shadow.shadow.is_(True))
        .correlate(current_results)
        .scalar_subquery()
    )
    other = aliased(ResultRow)
    listed = select(ReadingListItemRow.id).where(ReadingListItemRow.xray_id == today.xray_id).correlate(current_results)
    rows = session.execute(
        select(
            today.xray_id,
            today.sha256,
            today.probability,
            today.outcome,
            today.refer_reason,
            other.outcome,
            today.label,
            listed.exists(),
        )
        .select_from(current_results)
        .outerjoin(other, other.id == newest)
        .where(today.model_id == model_id)
        .order_by(today.xray_id)
    )
    return [
        ScoredFilm(
            xray_id,
            sha256,
            probability,
            outcome,
            is_unlike=is_unlike(refer_reason),
            shadow=shadow_outcome,
            label=label,
            is_held_out=xray_id not in learned,
            is_listed=bool(is_listed),
        )
        for xray_id, sha256, probability, outcome, refer_reason, shadow_outcome, label, is_listed in rows.tuples()
    ]


def _find_learned(session: Session) -> set[int]:
    """The X-rays that stood on a side that is learned from, by any group that they ever had."""
    sides = xrays.read_splits(session)
    return {
        xray.xray_id
        for xray in read_labelled(session, LabelRules())  # whatever the rules: it stood where it stood
        if any(
            sides.get(group) in (Split.TRAIN, Split.VALIDATION)
            for group in (xray.group, name_content_group(xray.sha256), *xray.former_groups)
        )
    }


def list_own_readings(session: Session, reader_id: int) -> list[OwnReading]:
    """The films on a reader's lists, by the time of the newest verdict there, else of the list; oldest first."""
    item, of = ReadingListItemRow, ReadingListRow
    at = func.max(func.coalesce(LabelRow.imported_at, of.made_at))
    rows = session.execute(
        select(item.xray_id, at)
        .join(of, of.id == item.list_id)
        .outerjoin(LabelRow, LabelRow.list_item_id == item.id)
        .where(of.reader_id == reader_id)
        .group_by(item.xray_id)
        .order_by(at, item.xray_id)
    )
    return [OwnReading(xray_id, read_at) for xray_id, read_at in rows.tuples()]


def list_shared_films(session: Session, reader_id: int) -> list[ChosenFilm]:
    """Films on exactly one other reader's lists and on none of this one's, in the order in which they were chosen."""
    item, of = ReadingListItemRow, ReadingListRow
    mine = select(item.xray_id).join(of, of.id == item.list_id).where(of.reader_id == reader_id)
    readers = func.count(of.reader_id.distinct())
    first = func.min(item.id)
    once = (
        select(first.label("id"))
        .join(of, of.id == item.list_id)
        .where(and_(item.reason != ListReason.REPEAT, item.xray_id.not_in(mine)))
        .group_by(item.xray_id)
        .having(readers == 1)
        .subquery()
    )
    rows = session.scalars(select(item).join(once, once.c.id == item.id).order_by(item.id))
    return [ChosenFilm(row.xray_id, row.reason, row.selection_probability, reveal=False) for row in rows]
