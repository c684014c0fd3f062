"""What a reading list is made of: scored films with their labels, and what each reader has read."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session, aliased

from db.reading.labelled import read_labelled
from db.reading.tables import ReadingListItemRow, ReadingListRow
from db.scoring import xrays
from db.scoring.tables import LabelRow, ResultRow, XrayRow
from db.scoring.views import current_results
from xray_core.promotion.policy import LabelRules
from xray_core.reading.reading_list import OwnReading, ScoredFilm
from xray_core.reading.records import ChosenFilm, ListPurpose, ListReason
from xray_core.records import Outcome, Split, is_unlike, name_content_group


def list_scored_films(session: Session, model_id: int) -> list[ScoredFilm]:
    """Every X-ray that was scored, by the champion or, where it has not yet come to it, by the newest other model.

    Its shadow's outcome is the newest there is.
    """
    learned = _find_learned(session)
    today, shadow = current_results.c, aliased(ResultRow)
    newest = (
        select(func.max(shadow.id))
        .where(shadow.xray_id == today.xray_id, shadow.shadow.is_(True))
        .correlate(current_results)
        .scalar_subquery()
    )
    other = aliased(ResultRow)
    listed = (
        select(ReadingListItemRow.id)
        .join(ReadingListRow, ReadingListRow.id == ReadingListItemRow.list_id)
        .where(ReadingListItemRow.xray_id == today.xray_id, ReadingListRow.purpose == ListPurpose.READING)
        .correlate(current_results)
    )
    rows = session.execute(
        select(
            today.xray_id,
            today.sha256,
            today.probability,
            today.refer_reason,
            case((today.model_id == model_id, None), else_=today.outcome),
            other.outcome,
            today.label,
            listed.exists(),
        )
        .select_from(current_results)
        .outerjoin(other, other.id == newest)
        .where(today.model_id.is_not(None))
        .order_by(today.xray_id)
    )
    return [
        ScoredFilm(
            xray_id,
            sha256,
            probability,
            is_unlike=is_unlike(refer_reason),
            shadow=shadow_outcome,
            label=label,
            is_held_out=xray_id not in learned,
            is_listed=bool(is_listed),
            said_before=said_before,
        )
        for xray_id, sha256, probability, refer_reason, said_before, shadow_outcome, label, is_listed in rows.tuples()
    ]


def read_outcomes(session: Session, model_id: int) -> dict[int, Outcome]:
    """What the champion says of each film that a reader with a name has read and that no training learned from."""
    today, learned = current_results.c, _find_learned(session)
    named = select(LabelRow.xray_id).where(LabelRow.reader.is_not(None))
    rows = session.execute(
        select(today.xray_id, today.outcome).where(today.model_id == model_id, today.xray_id.in_(named))
    )
    return {xray_id: outcome for xray_id, outcome in rows.tuples() if xray_id not in learned}


@dataclass(frozen=True, slots=True)
class FieldFilm:
    """A film that came in and that a model scored: P(covid), and how likely chance was to put it on an audit list.

    `is_odd` is one that was referred for what it is, whatever its score.
    """

    xray_id: int
    sha256: str
    group: str
    probability: float
    selection_probability: float | None
    is_odd: bool


def list_field_films(session: Session, model_id: int, *, learned_upto: int, only_read: bool = False) -> list[FieldFilm]:
    """The films that a model scored as they came in, live or as shadow, and that it did not learn from.

    It may have learned what had a label by then: `learned_upto` is the id of that label, 0 for a model from elsewhere.
    With `only_read` those alone of which a reader with a name has said something. `selection_probability` is that of
    the audit list on which a film stands, None where it stands on none.
    """
    row, item, newest = ResultRow, ReadingListItemRow, func.max(ResultRow.id)
    learned = _find_learned(session, upto=learned_upto)
    own = select(newest.label("id")).where(row.model_id == model_id).group_by(row.xray_id).subquery()
    chosen = (
        select(item.xray_id, func.min(item.selection_probability).label("probability"))
        .where(item.reason == ListReason.AUDIT)
        .group_by(item.xray_id)
        .subquery()
    )
    films = (
        select(XrayRow.id, XrayRow.sha256, XrayRow.patient, row.probability, chosen.c.probability, row.refer_reason)
        .join(own, own.c.id == row.id)
        .join(XrayRow, XrayRow.id == row.xray_id)
        .outerjoin(chosen, chosen.c.xray_id == XrayRow.id)
        .order_by(XrayRow.id)
    )
    if only_read:
        films = films.where(XrayRow.id.in_(select(LabelRow.xray_id).where(LabelRow.reader.is_not(None))))
    rows = session.execute(films)
    return [
        FieldFilm(
            xray_id, sha256, patient or name_content_group(sha256), probability, selection, is_unlike(refer_reason)
        )
        for xray_id, sha256, patient, probability, selection, refer_reason in rows.tuples()
        if xray_id not in learned
    ]


def _find_learned(session: Session, *, upto: int | None = None) -> set[int]:
    """The X-rays that stood on a side that is learned from, by any group that they ever had.

    With `upto` those alone that had a label by then, the id of a label: what a training could take.
    """
    sides = xrays.read_splits(session)
    return {
        xray.xray_id
        for xray in read_labelled(session, LabelRules(), upto=upto)  # whatever the rules: it stood where it stood
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
    """Films on exactly one other reader's lists and on none of this one's, in the order in which they were chosen.

    Lists for disputes do not count: what stands there has been read.
    """
    item, of = ReadingListItemRow, ReadingListRow
    mine = select(item.xray_id).join(of, of.id == item.list_id).where(of.reader_id == reader_id)
    readers = func.count(of.reader_id.distinct())
    first = func.min(item.id)
    once = (
        select(first.label("id"))
        .join(of, of.id == item.list_id)
        .where(item.reason != ListReason.REPEAT, item.xray_id.not_in(mine), of.purpose == ListPurpose.READING)
        .group_by(item.xray_id)
        .having(readers == 1)
        .subquery()
    )
    rows = session.scalars(select(item).join(once, once.c.id == item.id).order_by(item.id))
    return [ChosenFilm(row.xray_id, row.reason, row.selection_probability, reveal=False) for row in rows]
