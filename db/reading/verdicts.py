"""Verdicts of readers on their lists: each is a label row; what a change of mind replaces stays."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.reading.tables import ReaderRow, ReadingListItemRow, ReadingListRow
from db.scoring.tables import LabelRow
from db.sealing import adding
from xray_core.errors import RefusedInput
from xray_core.reading.records import ReaderRole, ReaderVerdict


def record_verdict(session: Session, verdict: ReaderVerdict, *, now: datetime) -> bool:
    """Write what a reader said; False where this very request was written before. Only inside `transaction`.

    Raises RefusedInput for a position that the list has not.
    """
    if session.scalar(select(LabelRow.id).where(LabelRow.request_id == verdict.request_id)) is not None:
        return False
    found = session.execute(
        select(ReadingListItemRow, ReaderRow.name)
        .join(ReadingListRow, ReadingListRow.id == ReadingListItemRow.list_id)
        .join(ReaderRow, ReaderRow.id == ReadingListRow.reader_id)
        .where(ReadingListItemRow.list_id == verdict.list_id, ReadingListItemRow.position == verdict.position)
    ).one_or_none()
    if found is None:
        raise RefusedInput(f"list {verdict.list_id}: received position {verdict.position}; expected one of its own")
    item, reader = found
    with adding(session, LabelRow):
        session.add(_to_row(verdict, item, reader, now))
    return True


def _to_row(verdict: ReaderVerdict, item: ReadingListItemRow, reader: str, now: datetime) -> LabelRow:
    return LabelRow(
        xray_id=item.xray_id,
        label=verdict.label,
        reader=reader,
        labelled_at=now,
        source="page",
        import_sha256=hashlib.sha256(verdict.request_id.encode()).hexdigest(),
        imported_at=now,
        list_item_id=item.id,
        role=ReaderRole.READER,
        sure=verdict.sure,
        score_visible=verdict.score_visible,
        shown_at=verdict.shown_at,
        seconds=verdict.seconds,
        exclude_reason=verdict.exclude_reason,
        note=verdict.flagged_note,
        prior_used=verdict.prior_used,
        request_id=verdict.request_id,
    )
