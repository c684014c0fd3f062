"""Labels: what readers said. A change of mind is another row; the latest row of an X-ray counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from db.bulk import pieces
from db.scoring import tables, xrays
from db.scoring.film_names import find_named
from db.scoring.tables import XrayRow
from db.sealing import adding
from xray_core.exchange.records import LabelLine
from xray_core.records import Label

_TRAINABLE = tuple(label for label in Label if label.is_trainable)


def match_labels(session: Session, rows: Sequence[LabelLine]) -> tuple[list[tuple[LabelLine, int]], list[str]]:
    """Find the X-ray of each row: by SHA-256, else by a file name that only one known X-ray ever had.

    Returns the rows with their X-ray's id, and the problems, one sentence each: an unknown content, a name that
    nobody knows or that fits several X-rays, two labels of one reader for one X-ray.
    """
    by_content = xrays.read_ids(session, [row.xray_sha256 for row in rows if row.xray_sha256])
    by_name = find_named(session, [row.filename for row in rows if not row.xray_sha256])
    matched: list[tuple[LabelLine, int]] = []
    problems: list[str] = []
    said: dict[tuple[int, str | None], LabelLine] = {}
    for row in rows:
        found = _content_of(row, by_content) if row.xray_sha256 else by_name.get(row.filename, set())
        problem = _refuse_match(row, found)
        if problem is None:
            (xray_id,) = found
            earlier = said.setdefault((xray_id, row.labelled_by), row)
            if earlier.label is row.label:
                matched.append((row, xray_id))
                continue
            problem = f"line {row.line}: {row.label} contradicts {earlier.label} in line {earlier.line}: same X-ray"
        problems.append(problem)
    return matched, problems


def add_labels(
    session: Session,
    matched: Sequence[tuple[LabelLine, int]],
    *,
    source: Literal["csv", "folder", "dataset"],
    import_sha256: str,
    now: datetime,
) -> int:
    """Write labels of X-rays (by id) and return how many were new.

    What a reader has said of an X-ray before, word for word, is not written again: importing a file twice, or an
    export that came back, changes nothing. Saying it again at a later `labelled_at` is new. A dataset is nobody's
    reader: what it says again does not come after the correction of a reader without a name.
    """
    is_dataset = source == "dataset"
    latest = _read_latest_by_reader(session, [xray_id for _, xray_id in matched], is_dataset=is_dataset)
    new: list[tables.LabelRow] = []
    for row, xray_id in matched:
        before = latest.get((xray_id, row.labelled_by))
        if before is not None and before[0] is row.label and not _is_later(row.labelled_at, before[1]):
            continue
        latest[xray_id, row.labelled_by] = (row.label, row.labelled_at)
        new.append(
            tables.LabelRow(
                xray_id=xray_id,
                label=row.label,
                reader=row.labelled_by,
                labelled_at=row.labelled_at,
                source=source,
                import_sha256=import_sha256,
                imported_at=now,
                score_visible=row.score_visible,
            )
        )
    with adding(session, tables.LabelRow):
        session.add_all(new)
    return len(new)


def read_latest(session: Session, xray_ids: Sequence[int]) -> dict[int, Label]:
    """The latest label of each of these X-rays that has one."""
    latest: dict[int, Label] = {}
    row = tables.LabelRow
    for part in pieces(xray_ids):
        newest = _latest().where(row.xray_id.in_(part)).subquery()
        found = session.execute(select(row.xray_id, row.label).join(newest, newest.c.label_id == row.id))
        latest |= dict(list(found.tuples()))
    return latest


def count_by_patient(session: Session, *, more_than: int) -> list[tuple[int, int]]:
    """Of every known patient with more trainable labels than that: how many X-rays are covid, how many normal."""
    latest, row = _latest().subquery(), tables.LabelRow
    covid, normal = (func.sum(case((row.label == label, 1), else_=0)) for label in (Label.COVID, Label.NORMAL))
    counted = session.execute(
        select(covid, normal)
        .select_from(latest)
        .join(row, row.id == latest.c.label_id)
        .join(XrayRow, XrayRow.id == latest.c.xray_id)
        .where(row.label.in_(_TRAINABLE), XrayRow.patient.is_not(None))
        .group_by(XrayRow.patient)
        .having(func.count() > more_than)
    )
    return [(int(covid), int(normal)) for covid, normal in counted.tuples()]


def count_trainable(session: Session) -> int:
    """How many X-rays have a latest label that is trained on."""
    latest, row = _latest().subquery(), tables.LabelRow
    found = select(func.count()).select_from(latest).join(row, row.id == latest.c.label_id)
    return session.scalar(found.where(row.label.in_(_TRAINABLE))) or 0


def label_watermark(session: Session) -> int:
    """The id of the last label that was written, 0 while there is none."""
    return session.scalar(select(func.max(tables.LabelRow.id))) or 0


def count_imported(session: Session) -> int:
    """How many labels readers have sent, in CSVs or folders; those of training folders do not count."""
    row = tables.LabelRow
    return session.scalar(select(func.count()).select_from(row).where(row.source != "dataset")) or 0


def _latest() -> Select[tuple[int, int]]:
    row = tables.LabelRow
    return select(row.xray_id, func.max(row.id).label("label_id")).group_by(row.xray_id)


def _read_latest_by_reader(
    session: Session, xray_ids: Sequence[int], *, is_dataset: bool
) -> dict[tuple[int, str | None], tuple[Label, datetime | None]]:
    """What each reader said last, or what a dataset did."""
    row = tables.LabelRow
    latest: dict[tuple[int, str | None], tuple[Label, datetime | None]] = {}
    for part in pieces(xray_ids):
        found = session.execute(
            select(row.xray_id, row.reader, row.label, row.labelled_at)
            .where(row.xray_id.in_(part), (row.source == "dataset").is_(is_dataset))
            .order_by(row.id)
        )
        latest |= {(xray_id, reader): (label, at) for xray_id, reader, label, at in found.tuples()}
    return latest


def _is_later(given: datetime | None, stored: datetime | None) -> bool:
    return given is not None and (stored is None or given > stored)


def _content_of(row: LabelLine, by_content: dict[str, int]) -> set[int]:
    return {by_content[row.xray_sha256]} if row.xray_sha256 in by_content else set()


def _refuse_match(row: LabelLine, found: set[int]) -> str | None:
    """What is wrong with what was found for a row, or None."""
    if len(found) == 1:
        return None
    if row.xray_sha256:
        return f"line {row.line}: xray_sha256 {row.xray_sha256[:12]}... is no X-ray that was scored or registered here"
    if not found:
        return f"line {row.line}: {row.filename} is no file that was scored or registered here"
    return f"line {row.line}: {row.filename} fits {len(found)} different X-rays; give xray_sha256"
