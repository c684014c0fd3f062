"""Reading lists: written whole, read back for the page without what must stay in the ledger."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.reading.readers import find_reader
from db.reading.tables import ReaderRow, ReadingListItemRow, ReadingListRow
from db.scoring.folders import to_film_path
from db.scoring.tables import FolderRow, LabelRow, XrayRow
from db.sealing import adding
from xray_core.reading.records import ChosenFilm, ListItem, ListPurpose, ReadingList


def add_list(
    session: Session,
    reader_id: int,
    films: Sequence[ChosenFilm],
    *,
    seed: int,
    reveal_share: float,
    guide_sha256: str | None,
    now: datetime,
    purpose: ListPurpose = ListPurpose.READING,
) -> int:
    """Write a list with its films at positions 1, 2, ...; its id. Only inside `transaction`."""
    row = ReadingListRow(
        reader_id=reader_id,
        seed=seed,
        reveal_share=reveal_share,
        guide_sha256=guide_sha256,
        made_at=now,
        purpose=purpose,
    )
    with adding(session, ReadingListRow):
        session.add(row)
    with adding(session, ReadingListItemRow):
        session.add_all(
            ReadingListItemRow(
                list_id=row.id,
                position=position,
                xray_id=film.xray_id,
                reason=film.reason,
                selection_probability=film.selection_probability,
                reveal=film.reveal,
            )
            for position, film in enumerate(films, start=1)
        )
    return row.id


def open_list(
    session: Session, reader: str, *, purposes: Collection[ListPurpose] = (ListPurpose.READING,)
) -> ReadingList | None:
    """The oldest list of a reader for one of these purposes that has a film without a verdict, else None."""
    item = ReadingListItemRow
    unread = select(item.list_id).where(~select(LabelRow.id).where(LabelRow.list_item_id == item.id).exists())
    row = session.execute(
        select(ReadingListRow, ReaderRow.name)
        .join(ReaderRow, ReaderRow.id == ReadingListRow.reader_id)
        .where(
            ReadingListRow.reader_id == find_reader(session, reader),
            ReadingListRow.purpose.in_(purposes),
            ReadingListRow.id.in_(unread),
        )
        .order_by(ReadingListRow.id)
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return _to_list(session, row[0], row[1])


def find_list(session: Session, list_id: int) -> ReadingList | None:
    """A list by its id, None for one that nobody has."""
    row = session.execute(
        select(ReadingListRow, ReaderRow.name)
        .join(ReaderRow, ReaderRow.id == ReadingListRow.reader_id)
        .where(ReadingListRow.id == list_id)
    ).one_or_none()
    return None if row is None else _to_list(session, row[0], row[1])


def _to_list(session: Session, row: ReadingListRow, reader: str) -> ReadingList:
    size = session.scalar(select(func.count()).where(ReadingListItemRow.list_id == row.id)) or 0
    return ReadingList(row.id, reader, size, row.guide_sha256, row.made_at, row.seed, row.purpose)


def items_of(session: Session, list_id: int) -> tuple[ListItem, ...]:
    """The films of a list by position, each with its reader's newest verdict on this list."""
    item = ReadingListItemRow
    newest = select(func.max(LabelRow.id)).where(LabelRow.list_item_id == item.id).correlate(item).scalar_subquery()
    rows = session.execute(
        select(item, XrayRow, FolderRow, LabelRow)
        .join(XrayRow, XrayRow.id == item.xray_id)
        .join(FolderRow, FolderRow.id == XrayRow.folder_id)
        .outerjoin(LabelRow, LabelRow.id == newest)
        .where(item.list_id == list_id)
        .order_by(item.position)
    )
    return tuple(
        ListItem(
            list_id=list_id,
            position=found.position,
            xray_id=xray.id,
            sha256=xray.sha256,
            path=to_film_path(folder, xray.path),
            reveal=found.reveal,
            label=label.label if label else None,
            sure=label.sure if label else None,
        )
        for found, xray, folder, label in rows.tuples()
    )


def list_waiting(session: Session) -> set[int]:
    """The X-rays on lists with a film without a verdict: until the last has one nobody is shown results of any.

    The whole list, since its reader may still go back and change a verdict that counts as blind.
    """
    item = ReadingListItemRow
    unread = select(item.list_id).where(~select(LabelRow.id).where(LabelRow.list_item_id == item.id).exists())
    return set(session.scalars(select(item.xray_id).where(item.list_id.in_(unread))))
