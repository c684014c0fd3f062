"""Scored films that still lie where they arrived, and those that have left: what the archive has yet to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import Session

from db.bulk import pieces
from db.records import StayingFilm
from db.scoring.tables import IncomingFileRow, XrayRow
from xray_core.imaging.records import FileSeen
from xray_core.records import FileState, unescape_name


def read_staying(session: Session, folder_id: int, *, after: int, limit: int) -> list[StayingFilm]:
    """Scored films of an incoming folder that nobody has archived, by their number, from the one after `after` on."""
    row = IncomingFileRow
    rows = session.execute(
        select(row.id, row.name, row.size, row.mtime_ns, row.ctime_ns, XrayRow.sha256)
        .join(XrayRow, XrayRow.id == row.xray_id)
        .where(_stays(folder_id, after))
        .order_by(row.id)
        .limit(limit)
    )
    return [
        StayingFilm(file_id, FileSeen(unescape_name(name), size, mtime_ns, ctime_ns, True, False), sha256)
        for file_id, name, size, mtime_ns, ctime_ns, sha256 in rows.tuples()
    ]


def count_staying(session: Session, folder_id: int, *, after: int) -> int:
    """How many there are."""
    return session.scalar(select(func.count()).select_from(IncomingFileRow).where(_stays(folder_id, after))) or 0


def mark_left(session: Session, file_ids: Sequence[int], *, now: datetime) -> None:
    """These scored files are in the archive, or were found to be gone when that was tried: nobody asks again."""
    row = IncomingFileRow
    for part in pieces(file_ids):
        session.execute(
            update(row)
            .where(row.id.in_(part), row.state == FileState.SCORED, row.left_at.is_(None))
            .values(left_at=now)
            .execution_options(synchronize_session=False)
        )


def _stays(folder_id: int, after: int) -> ColumnElement[bool]:
    row = IncomingFileRow
    return and_(
        row.folder_id == folder_id,
        row.superseded_at.is_(None),
        row.state == FileState.SCORED,
        row.left_at.is_(None),
        row.id > after,
    )
