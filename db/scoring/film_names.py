"""Which X-rays ever had a file name, in an incoming folder or where they were last read."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.bulk import pieces
from db.scoring.tables import IncomingFileRow, XrayRow
from xray_core.records import escape_name


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
    row = IncomingFileRow
    names: list[tuple[str, int]] = []
    if not wanted:
        return names
    for part in pieces(wanted):
        for version in (row.superseded_at.is_(None), row.superseded_at.is_not(None)):
            found = session.execute(
                select(row.name, row.xray_id).where(row.name.in_(part), version, row.xray_id.is_not(None))
            )
            names += [(name, xray_id) for name, xray_id in found.tuples() if xray_id is not None]
    known = set(wanted)
    paths = session.execute(select(XrayRow.path, XrayRow.id), execution_options={"yield_per": 5000})
    names += [(name, xray_id) for path, xray_id in paths.tuples() if (name := path.rpartition("/")[2]) in known]
    return names
