"""Where films should lie that were scored or labelled: which the archive waits for, which a person has let go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select, update
from sqlalchemy.orm import Session

from db import audit
from db.bulk import pieces
from db.records import StayingFilm
from db.scoring.folders import to_film_path
from db.scoring.tables import IS_SCORED, FolderRow, IncomingFileRow, LabelRow, XrayRow
from xray_core.imaging.records import FileSeen
from xray_core.records import FileState, FilmPath, unescape_name

_LET_GO = "films-let-go"
# Numbers in a row are one range, so a thousand films take little room; this many ranges are one entry of the log.
_RANGES = 5000


@dataclass(frozen=True, slots=True)
class ScoredFile:
    """A current scored file: its X-ray, where it was read, and its size and times then."""

    xray_id: int
    sha256: str
    path: FilmPath
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class RecordedFilm:
    """A film that was scored or labelled: its content, and where its bytes were last read."""

    xray_id: int
    sha256: str
    path: FilmPath
    is_labelled: bool


def iter_scored_files(session: Session) -> Iterator[ScoredFile]:
    """Every current scored file and where it was read, as a stream."""
    row = IncomingFileRow
    statement = (
        select(row.xray_id, XrayRow.sha256, FolderRow, row.name, row.size, row.mtime_ns, row.ctime_ns)
        .join(XrayRow, XrayRow.id == row.xray_id)
        .join(FolderRow, FolderRow.id == row.folder_id)
        .where(row.superseded_at.is_(None), row.state == FileState.SCORED)
    )
    rows = session.execute(statement, execution_options=_STREAM).tuples()
    for xray_id, sha256, folder, name, size, mtime_ns, ctime_ns in rows:
        assert xray_id is not None, "a scored file has its X-ray: the schema says so"
        yield ScoredFile(xray_id, sha256, to_film_path(folder, name), size, mtime_ns, ctime_ns)


def iter_films(session: Session) -> Iterator[RecordedFilm]:
    """Every film that must not vanish, and where it was last read: those of current scored files, and labelled ones.

    What a sender has replaced under its name, and nobody has labelled, is none of them: the ledger tells of that. A
    stream, by their number: asked to choose among X-rays, SQLite keeps and sorts all that it has chosen.
    """
    row = IncomingFileRow
    is_current = row.superseded_at.is_(None) & (row.state == FileState.SCORED) & row.xray_id.is_not(None)
    current = _number(session, select(row.xray_id).where(is_current))
    labelled = _number(session, select(LabelRow.xray_id))
    known = {folder.id: folder for folder in session.scalars(select(FolderRow))}
    statement = select(XrayRow.id, XrayRow.sha256, XrayRow.folder_id, XrayRow.path).order_by(XrayRow.id)
    for xray_id, sha256, folder_id, path in session.execute(statement, execution_options=_STREAM).tuples():
        is_labelled = xray_id in labelled
        if folder_id in known and (is_labelled or xray_id in current):
            yield RecordedFilm(xray_id, sha256, to_film_path(known[folder_id], path), is_labelled)


def _number(session: Session, chosen: Select[Any]) -> FilmNumbers:
    numbers = FilmNumbers()
    for xray_id in session.scalars(chosen, execution_options=_STREAM):
        numbers.add(xray_id)
    return numbers


_STREAM = {"yield_per": 1000}


def let_go(session: Session, xray_ids: Iterable[int], *, actor: str, now: datetime) -> int:
    """Write down that a person knows these films to be gone; how many. Only inside `transaction`."""
    ids = sorted(set(xray_ids))
    ranges = list(_to_ranges(ids))
    for start in range(0, len(ranges), _RANGES):
        part = ranges[start : start + _RANGES]
        count = sum(last - first + 1 for first, last in part)
        detail = {"xrays": part}
        audit.append(session, actor=actor, action=_LET_GO, subject=f"{count} films", detail=detail, now=now)
    return len(ids)


class FilmNumbers:
    """X-ray ids, a bit for each up to the largest: of a million films 125 kB, where a set takes 60 MB."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, xray_id: int) -> None:
        """Take in an id, from 1 on."""
        byte, bit = divmod(xray_id, 8)
        if byte >= len(self._bits):
            self._bits.extend(bytes(max(byte + 1 - len(self._bits), len(self._bits))))
        self._bits[byte] |= 1 << bit

    def __contains__(self, xray_id: int) -> bool:
        byte, bit = divmod(xray_id, 8)
        return byte < len(self._bits) and bool(self._bits[byte] >> bit & 1)


def read_let_go(session: Session) -> FilmNumbers:
    """The films (by X-ray id) that a person has let go."""
    gone = FilmNumbers()
    for _, _, detail in audit.iter_details(session, _LET_GO):
        for first, last in detail["xrays"]:
            for xray_id in range(first, last + 1):
                gone.add(xray_id)
    return gone


def _to_ranges(ids: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for number in ids:
        if first is not None and last is not None and number != last + 1:
            yield first, last
            first = None
        first, last = (number if first is None else first), number
    if first is not None and last is not None:
        yield first, last


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
        IS_SCORED,
        row.left_at.is_(None),
        row.id > after,
    )
