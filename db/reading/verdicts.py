"""Verdicts of readers on their lists: each is a label row; what a change of mind replaces stays."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.reading.tables import ReaderRow, ReadingListItemRow, ReadingListRow
from db.scoring.tables import LabelRow
from db.sealing import adding
from xray_core.errors import RefusedInput
from xray_core.reading.records import ListPurpose, ReaderRole, ReaderVerdict, fold_name


def record_verdict(
    session: Session, verdict: ReaderVerdict, *, now: datetime, source: Literal["page", "csv"] = "page"
) -> bool:
    """Write what a reader said; False where this very request was written before. Only inside `transaction`.

    Once a reader has seen a film's score, every later verdict on that film counts as given with it, on any list.
    Raises RefusedInput for a position that the list has not.
    """
    if session.scalar(select(LabelRow.id).where(LabelRow.request_id == verdict.request_id)) is not None:
        return False
    found = session.execute(
        select(ReadingListItemRow, ReadingListRow.purpose, ReaderRow.name)
        .join(ReadingListRow, ReadingListRow.id == ReadingListItemRow.list_id)
        .join(ReaderRow, ReaderRow.id == ReadingListRow.reader_id)
        .where(ReadingListItemRow.list_id == verdict.list_id, ReadingListItemRow.position == verdict.position)
    ).one_or_none()
    if found is None:
        raise RefusedInput(f"list {verdict.list_id}: received position {verdict.position}; expected one of its own")
    item, purpose, reader = found
    row = _to_row(verdict, item, reader, now)
    row.role, row.source = _ROLES[purpose], source
    row.score_visible = verdict.score_visible or _has_seen(session, item.xray_id, reader)
    with adding(session, LabelRow):
        session.add(row)
    return True


# Who reads again after a dispute is a reader still.
_ROLES: Final = dict.fromkeys(ListPurpose, ReaderRole.READER) | {ListPurpose.ADJUDICATION: ReaderRole.ADJUDICATOR}


def _has_seen(session: Session, xray_id: int, reader: str) -> bool:
    """Whether this reader, under any spelling, was shown the film's score: by a page after a verdict, or otherwise."""
    row, item = LabelRow, ReadingListItemRow
    rows = session.execute(
        select(row.reader, row.score_visible, row.source, item.reveal)
        .outerjoin(item, item.id == row.list_item_id)
        .where(row.xray_id == xray_id, row.reader.is_not(None))
    )
    return any(
        fold_name(name or "") == fold_name(reader) and (visible or (reveal and source == "page"))
        for name, visible, source, reveal in rows.tuples()
    )


def _to_row(verdict: ReaderVerdict, item: ReadingListItemRow, reader: str, now: datetime) -> LabelRow:
    return LabelRow(
        xray_id=item.xray_id,
        label=verdict.label,
        reader=reader,
        labelled_at=now,
        import_sha256=hashlib.sha256(verdict.request_id.encode()).hexdigest(),
        imported_at=now,
        list_item_id=item.id,
        sure=verdict.sure,
        score_visible=verdict.score_visible,
        shown_at=verdict.shown_at,
        seconds=verdict.seconds,
        exclude_reason=verdict.exclude_reason,
        note=verdict.flagged_note,
        prior_used=verdict.prior_used,
        request_id=verdict.request_id,
    )
