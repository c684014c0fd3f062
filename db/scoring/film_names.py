"""Which X-rays ever had a file name, in an incoming folder or where they were last read."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from db.bulk import pieces
from db.columns import begins_with
from db.scoring.tables import FolderRow, IncomingFileRow, XrayRow
from xray_core.records import FolderKind, escape_name


def iter_film_names(session: Session) -> Iterator[str]:
    """Every escaped name that a known X-ray's file ever had, in the incoming folder or where it was last read."""
    for column in (IncomingFileRow.name, XrayRow.path):
        is_film = IncomingFileRow.xray_id.is_not(None) if column is IncomingFileRow.name else XrayRow.id.is_not(None)
        names = session.scalars(select(column).where(is_film), execution_options={"yield_per": 5000})
        yield from (name.rpartition("/")[2] for name in names)


def count_films(session: Session) -> int:
    """How many X-rays are known, from incoming folders and datasets."""
    return session.scalar(select(func.count()).select_from(XrayRow)) or 0


def find_known_names(session: Session, filenames: Sequence[str]) -> set[str]:
    """Those of the names in a CSV, escaped or not, that are the very name of some X-ray's file."""
    return set(find_named(session, filenames))


def find_contents(session: Session, filenames: Sequence[str]) -> dict[str, set[str]]:
    """The SHA-256 of every X-ray that ever had each of these names; names that nobody had are left out."""
    found = find_named(session, filenames)
    ids = sorted({xray_id for known in found.values() for xray_id in known})
    contents: dict[int, str] = {}
    for part in pieces(ids):
        contents |= dict(session.execute(select(XrayRow.id, XrayRow.sha256).where(XrayRow.id.in_(part))).tuples().all())
    return {name: {contents[xray_id] for xray_id in known} for name, known in found.items()}


def find_named(session: Session, filenames: Sequence[str]) -> dict[str, set[int]]:
    """The X-rays that ever had each file name, in the incoming folder or as the last part of their path."""
    # A CSV has names as we export them, escaped, or as the file system has them.
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for filename in filenames:
        wanted[filename].add(filename)
        wanted[escape_name(os.fsencode(filename))].add(filename)
    found: defaultdict[str, set[int]] = defaultdict(set)
    for name, xray_id in _iter_names(session, list(wanted)):
        for filename in wanted[name]:
            found[filename].add(xray_id)
    return found


def _iter_names(session: Session, wanted: Sequence[str]) -> list[tuple[str, int]]:
    """Each of these names with the X-rays that had it; every X-ray is looked at only for a name that is found nowhere.

    A film that came in lies under the name with which it came, or in the archive under its content and that name.
    """
    if not wanted:
        return []
    names = [*_find_incoming(session, wanted), *_find_of_datasets(session, set(wanted))]
    names += _find_prefixed(session, [name for name in wanted if _PREFIXED.match(name)])
    found = {name for name, _ in names}
    # What is too long for a file system is cut in the archive, and begins with nothing that could be looked up.
    doubtful = {name for name in wanted if name not in found or len(name) > _SURELY_NOT_CUT}
    return names + (_find_by_path(session, doubtful, select(XrayRow.path, XrayRow.id)) if doubtful else [])


_PREFIXED = re.compile(r"[0-9a-f]{16}-.")
_SURELY_NOT_CUT = 100


def _find_incoming(session: Session, wanted: Sequence[str]) -> Iterator[tuple[str, int]]:
    row = IncomingFileRow
    for part in pieces(wanted):
        for version in (row.superseded_at.is_(None), row.superseded_at.is_not(None)):
            found = session.execute(
                select(row.name, row.xray_id).where(row.name.in_(part), version, row.xray_id.is_not(None))
            )
            yield from ((name, xray_id) for name, xray_id in found.tuples() if xray_id is not None)


def _find_of_datasets(session: Session, wanted: Collection[str]) -> list[tuple[str, int]]:
    datasets = select(FolderRow.id).where(FolderRow.kind == FolderKind.DATASET)
    return _find_by_path(session, wanted, select(XrayRow.path, XrayRow.id).where(XrayRow.folder_id.in_(datasets)))


def _find_prefixed(session: Session, wanted: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Names that begin with a film's content: another content had its name in the archive."""
    for name in wanted:
        content = begins_with(XrayRow.sha256, name[:16])
        yield from _find_by_path(session, {name}, select(XrayRow.path, XrayRow.id).where(content))


def _find_by_path(
    session: Session, wanted: Collection[str], statement: Select[tuple[str, int]]
) -> list[tuple[str, int]]:
    paths = session.execute(statement, execution_options={"yield_per": 5000})
    return [(name, xray_id) for path, xray_id in paths.tuples() if (name := path.rpartition("/")[2]) in wanted]
