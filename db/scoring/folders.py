"""The folders that films lie in, each recorded once."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.scoring.tables import FolderRow
from db.sealing import adding
from xray_core.records import FilmPath, FolderKind


def find_folder(session: Session, kind: FolderKind, place: str) -> int | None:
    """The id of a folder by its kind and escaped place, None where it was never recorded."""
    return session.scalar(select(FolderRow.id).where(FolderRow.kind == kind, FolderRow.place == place))


def add_folder(session: Session, kind: FolderKind, place: str, *, now: datetime) -> int:
    """The id of a folder, recorded here if need be; only inside `transaction`."""
    known = find_folder(session, kind, place)
    if known is not None:
        return known
    row = FolderRow(kind=kind, place=place, recorded_at=now)
    with adding(session, FolderRow):
        session.add(row)
    return row.id


def to_film_path(folder: FolderRow, path: str) -> FilmPath:
    """A film's escaped path in its folder, with what must be known of the folder to find it."""
    return FilmPath(folder.id, folder.kind, folder.place, path)
