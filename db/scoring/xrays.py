"""X-rays: one row per content, whatever the files are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.bulk import insert_on, pieces, write_rows
from db.records import DatasetXray, FilmFile, Scored
from db.scoring.folders import to_film_path
from db.scoring.tables import FolderRow, SplitMemberRow, XrayRow
from db.sealing import changing
from xray_core.imaging.records import ImageFacts
from xray_core.records import Split

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


def add_dataset_xrays(
    session: Session, found: Sequence[DatasetXray], *, folder_id: int, now: datetime
) -> dict[str, int]:
    """Register the X-rays of a training folder; their ids by SHA-256. What is known already is kept, see below."""
    return _add(
        session,
        [
            _describe(xray.sha256, xray.facts, xray.patient, xray.dhash)
            | {"folder_id": folder_id, "path": xray.path, "source": xray.source, "first_seen_at": now}
            for xray in found
        ],
    )


def add_read_xrays(
    session: Session, files: Sequence[tuple[Scored, str]], *, folder_id: int, now: datetime
) -> dict[str, int]:
    """Register the contents of files that were read, each with its escaped path in the folder; their ids by SHA-256."""
    return _add(
        session,
        [
            _describe(file.sha256, file.facts, file.patient, file.dhash)
            | {"folder_id": folder_id, "path": path, "source": None, "first_seen_at": now}
            for file, path in files
        ],
    )


def update_paths(session: Session, moved: Sequence[tuple[str, str]], *, folder_id: int) -> None:
    """Remember where the bytes of X-rays lie now: pairs of SHA-256 and escaped path in the folder."""
    ids = read_ids(session, [sha256 for sha256, _ in moved])
    rows = [{"id": ids[sha256], "folder_id": folder_id, "path": path} for sha256, path in moved if sha256 in ids]
    if rows:
        session.execute(update(XrayRow), rows)


def read_ids(session: Session, sha256s: Iterable[str]) -> dict[str, int]:
    """The ids of those contents that are known."""
    ids: dict[str, int] = {}
    for part in pieces(list(sha256s)):
        rows = session.execute(select(XrayRow.sha256, XrayRow.id).where(XrayRow.sha256.in_(part)))
        ids |= dict(rows.tuples().all())
    return ids


def find_priors(session: Session, xray_ids: Sequence[int]) -> dict[int, FilmFile]:
    """For those X-rays whose patient has films from before: the last one that came before it, by the X-ray's id."""
    priors: dict[int, FilmFile] = {}
    for part in pieces(xray_ids):
        nearest = _find_nearest(session, part)
        rows = session.execute(
            select(XrayRow, FolderRow)
            .join(FolderRow, FolderRow.id == XrayRow.folder_id)
            .where(XrayRow.id.in_(set(nearest.values())))
        )
        files = {row.id: FilmFile(row.sha256, to_film_path(folder, row.path)) for row, folder in rows.tuples()}
        priors |= {xray_id: files[prior] for xray_id, prior in nearest.items()}
    return priors


def _find_nearest(session: Session, xray_ids: Sequence[int]) -> dict[int, int]:
    """The last film of the same patient before each of these: one pass over the X-rays, for no index has patients.

    Joined to itself, the table gets an index of all patients for one question.
    """
    row = XrayRow
    known = select(row.id, row.patient).where(row.id.in_(xray_ids), row.patient.is_not(None))
    patients = dict(session.execute(known).tuples().all())
    films: defaultdict[str | None, list[int]] = defaultdict(list)
    early = select(row.patient, row.id).where(row.id < max(patients, default=0))
    for patient, xray_id in session.execute(early.where(row.patient.in_(set(patients.values())))).tuples():
        films[patient].append(xray_id)
    nearest = {
        xray_id: max((other for other in films[patient] if other < xray_id), default=None)
        for xray_id, patient in patients.items()
    }
    return {xray_id: prior for xray_id, prior in nearest.items() if prior is not None}


def freeze_splits(session: Session, assignments: Mapping[str, Split], *, now: datetime) -> None:
    """Put groups on their side of the split for ever; a group that has a side keeps it."""
    rows = [{"split_group": group, "split": split, "assigned_at": now} for group, split in assignments.items()]
    if rows:
        with changing(session, SplitMemberRow, list(assignments), by="split_group"):
            dialect = session.get_bind().dialect.name
            session.execute(insert_on(dialect, SplitMemberRow).on_conflict_do_nothing(), rows)


def read_splits(session: Session, groups: Collection[str] | None = None) -> dict[str, Split]:
    """Every frozen group (of these) and its side."""
    row = SplitMemberRow
    if groups is None:
        return dict(session.execute(select(row.split_group, row.split)).tuples().all())
    sides: dict[str, Split] = {}
    for part in pieces(sorted(groups)):
        sides |= dict(
            session.execute(select(row.split_group, row.split).where(row.split_group.in_(part))).tuples().all()
        )
    return sides


def _add(session: Session, rows: list[dict[str, Any]]) -> dict[str, int]:
    """Add unknown contents; of known ones the path becomes the latest, and only gaps in what is known are filled."""
    if not rows:
        return {}
    by_content = {row["sha256"]: row for row in rows}
    with changing(session, XrayRow, list(by_content), by="sha256"):
        write_rows(session, _fill_gaps(session.get_bind().dialect.name), list(by_content.values()))
    return read_ids(session, by_content)


@cache
def _fill_gaps(dialect: str) -> sqlite.Insert | postgresql.Insert:
    insert = insert_on(dialect, XrayRow)
    given = insert.excluded
    filled = {
        name: func.coalesce(getattr(XrayRow, name), given[name])
        for name in ("patient", "source", "view", "sex", "age_group")
    }
    return insert.on_conflict_do_update(
        index_elements=["sha256"], set_=filled | {"folder_id": given.folder_id, "path": given.path}
    )


def _describe(sha256: str, facts: ImageFacts, patient: str | None, dhash: str) -> dict[str, Any]:
    return {
        "sha256": sha256,
        "patient": patient,
        "view": facts.view,
        "sex": facts.sex,
        "age_group": facts.age_group,
        "file_format": facts.file_format,
        "width": facts.width,
        "height": facts.height,
        "mode": facts.mode,
        "scale_rule": facts.scale_rule,
        "flags": " ".join(facts.flags),
        "dhash": dhash,
    }
