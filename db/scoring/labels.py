"""Labels: what readers said. A change of mind is another row; the latest row of an X-ray counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from db.bulk import pieces
from db.records import LabelTally
from db.scoring import patient_tally, tables, xrays
from db.scoring.film_names import find_named
from db.scoring.folders import to_film_path
from db.scoring.tables import FolderRow, XrayRow
from db.sealing import adding
from xray_core.exchange.records import LabelLine
from xray_core.records import Label, LabelledXray, name_content_group

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
    export that came back, changes nothing. Saying it again at a later `labelled_at` is new.
    """
    latest = _read_latest_by_reader(session, [xray_id for _, xray_id in matched])
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


def trainable_labels(session: Session) -> list[LabelledXray]:
    """Every X-ray whose latest label is one that is trained on, by id."""
    return [labelled for labelled in latest_labels(session) if labelled.label.is_trainable]


def latest_labels(session: Session) -> list[LabelledXray]:
    """Every labelled X-ray with its latest label, those that are never trained on included, by id."""
    latest = _latest().subquery()
    rows = session.execute(
        select(XrayRow, FolderRow, tables.LabelRow.label)
        .join(FolderRow, FolderRow.id == XrayRow.folder_id)
        .join(latest, latest.c.xray_id == XrayRow.id)
        .join(tables.LabelRow, tables.LabelRow.id == latest.c.label_id)
        .order_by(XrayRow.id)
    )
    former = patient_tally.read_former_patients(session)
    return [_to_labelled(xray, folder, label, former.get(xray.id, ())) for xray, folder, label in rows.tuples()]


def count_new_trainable(session: Session, since_label_id: int) -> LabelTally:
    """What a training would have, and how much of it is new since a watermark.

    New is an X-ray whose label was another one (or none) at the watermark: a second reader who agrees with the
    first adds nothing to learn from.
    """
    latest, before = _latest().subquery(), _latest(upto=since_label_id).subquery()
    now_row, then_row = tables.LabelRow.__table__.alias(), tables.LabelRow.__table__.alias()
    is_new = then_row.c.label.is_distinct_from(now_row.c.label)
    rows = session.execute(
        select(
            now_row.c.label,
            func.sum(case((is_new, 1), else_=0)),
            func.count(),
            func.count(func.distinct(XrayRow.patient)),
            func.sum(case((XrayRow.patient.is_(None), 1), else_=0)),
        )
        .select_from(latest)
        .join(now_row, now_row.c.id == latest.c.label_id)
        .join(XrayRow, XrayRow.id == latest.c.xray_id)
        .outerjoin(before, before.c.xray_id == latest.c.xray_id)
        .outerjoin(then_row, then_row.c.id == before.c.label_id)
        .where(now_row.c.label.in_(_TRAINABLE))
        .group_by(now_row.c.label)
    )
    counted = {label: tuple(map(int, counts)) for label, *counts in rows.tuples()}
    nothing = (0,) * 4
    return LabelTally(*({label: counted.get(label, nothing)[place] for label in _TRAINABLE} for place in range(4)))


def count_by_patient(session: Session) -> list[tuple[int, int]]:
    """Of every known patient with trainable labels: how many X-rays are covid, how many normal."""
    latest, row = _latest().subquery(), tables.LabelRow
    covid, normal = (func.sum(case((row.label == label, 1), else_=0)) for label in (Label.COVID, Label.NORMAL))
    counted = session.execute(
        select(covid, normal)
        .select_from(latest)
        .join(row, row.id == latest.c.label_id)
        .join(XrayRow, XrayRow.id == latest.c.xray_id)
        .where(row.label.in_(_TRAINABLE), XrayRow.patient.is_not(None))
        .group_by(XrayRow.patient)
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


def _latest(upto: int | None = None) -> Select[tuple[int, int]]:
    row = tables.LabelRow
    latest = select(row.xray_id, func.max(row.id).label("label_id")).group_by(row.xray_id)
    return latest if upto is None else latest.where(row.id <= upto)


def _read_latest_by_reader(
    session: Session, xray_ids: Sequence[int]
) -> dict[tuple[int, str | None], tuple[Label, datetime | None]]:
    row = tables.LabelRow
    latest: dict[tuple[int, str | None], tuple[Label, datetime | None]] = {}
    for part in pieces(xray_ids):
        found = session.execute(
            select(row.xray_id, row.reader, row.label, row.labelled_at).where(row.xray_id.in_(part)).order_by(row.id)
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


def _to_labelled(xray: XrayRow, folder: FolderRow, label: Label, former: tuple[str, ...]) -> LabelledXray:
    return LabelledXray(
        xray_id=xray.id,
        sha256=xray.sha256,
        path=to_film_path(folder, xray.path),
        label=label,
        group=xray.patient or name_content_group(xray.sha256),
        patient_known=xray.patient is not None,
        source=xray.source,
        view=xray.view,
        sex=xray.sex,
        age_group=xray.age_group,
        file_format=xray.file_format,
        width=xray.width,
        height=xray.height,
        dhash=xray.dhash,
        former_groups=former,
    )
