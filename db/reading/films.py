"""What readers have read, and what scored films say of the field, besides what a model learned from."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Select, func, literal, select, union_all
from sqlalchemy.orm import Session, aliased

from db.columns import to_digits
from db.reading.tables import ReadingListItemRow, ReadingListRow
from db.scoring.tables import LabelRow, PatientFactRow, ResultRow, SplitMemberRow, XrayRow
from db.scoring.views import current_results
from xray_core.reading.reading_list import OwnReading
from xray_core.reading.records import ChosenFilm, ListPurpose, ListReason
from xray_core.records import Outcome, Split, is_unlike, name_content_group


def read_outcomes(session: Session, model_id: int) -> dict[int, Outcome]:
    """What the champion says of each film that a reader with a name has read and that no training learned from."""
    today, learned = current_results.c, find_learned(session)
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


def list_field_films(
    session: Session, model_id: int, *, learned_upto: int, among: Select[tuple[int]] | None = None
) -> list[FieldFilm]:
    """The films that a model scored as they came in, live or as shadow, and that it did not learn from.

    It may have learned what had a label by then: `learned_upto` is the id of that label, 0 for a model from elsewhere.
    With `among` of the X-rays that it finds alone. `selection_probability` is that of the audit list on which a film
    stands, None where it stands on none.
    """
    row, item = ResultRow, ReadingListItemRow
    learned = find_learned(session, upto=learned_upto, among=among)
    chosen = (
        select(item.xray_id, func.min(item.selection_probability).label("probability"))
        .where(item.reason == ListReason.AUDIT)
        .group_by(item.xray_id)
        .subquery()
    )
    later = aliased(ResultRow)
    is_newest = (
        ~select(later.id)
        .where(later.xray_id == row.xray_id, later.model_id == row.model_id, later.id > row.id)
        .exists()
    )
    films = (
        select(XrayRow.id, XrayRow.sha256, XrayRow.patient, row.probability, chosen.c.probability, row.refer_reason)
        .join(XrayRow, XrayRow.id == row.xray_id)
        .outerjoin(chosen, chosen.c.xray_id == XrayRow.id)
        .where(row.model_id == model_id, is_newest)
        .order_by(XrayRow.id)
    )
    if among is not None:
        films = films.where(row.xray_id.in_(among))
    rows = session.execute(films)
    return [
        FieldFilm(
            xray_id, sha256, patient or name_content_group(sha256), probability, selection, is_unlike(refer_reason)
        )
        for xray_id, sha256, patient, probability, selection, refer_reason in rows.tuples()
        if xray_id not in learned
    ]


def select_read(session: Session, model_id: int) -> Select[tuple[int]]:
    """The X-rays that a model scored and of which a reader with a name has said something.

    Where they are few, by their ids: what asks for them asks several times.
    """
    row = ResultRow
    is_scored = select(row.id).where(row.xray_id == LabelRow.xray_id, row.model_id == model_id).exists()
    read = select(LabelRow.xray_id).where(LabelRow.reader.is_not(None), is_scored).distinct()
    ids = session.scalars(read.limit(_FEW + 1)).all()
    return select(XrayRow.id).where(XrayRow.id.in_(ids)) if len(ids) <= _FEW else read


_FEW = 2000


def find_learned(session: Session, *, upto: int | None = None, among: Select[tuple[int]] | None = None) -> set[int]:
    """The X-rays (of those that `among` finds) that stood on a side that is learned from, by any group they ever had.

    With `upto` those alone that had a label by then, the id of a label: what a training could take.
    """
    said = select(LabelRow.xray_id)
    if upto is not None:
        said = said.where(LabelRow.id <= upto)
    if among is not None:
        said = said.where(LabelRow.xray_id.in_(among))
    xray, side, fact = XrayRow, SplitMemberRow, PatientFactRow
    is_learned = xray.id.in_(said) & side.split.in_((Split.TRAIN, Split.VALIDATION))
    ids = select(xray.id).where(is_learned)
    own = ids.join(side, side.split_group == xray.patient)
    alone = ids.join(side, side.split_group == _CONTENT_GROUP.concat(to_digits(session, xray.sha256)))
    former = ids.join(fact, fact.sha256 == xray.sha256).join(side, side.split_group == fact.patient)
    return set(session.scalars(union_all(own, alone, former.where(fact.patient != xray.patient))))


_CONTENT_GROUP = literal(name_content_group(""))


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
