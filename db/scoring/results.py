"""Results: what models said of X-rays. Written once, sealed, never changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, bindparam, func, select
from sqlalchemy.orm import Session

from db.bulk import insert_on, pieces, write_rows
from db.records import Scored, ScoredXray
from db.scoring.folders import to_film_path
from db.scoring.tables import FolderRow, IncomingFileRow, ResultRow, XrayRow
from db.scoring.views import current_results
from db.sealing import adding
from xray_core.exchange.records import ResultLine
from xray_core.records import FileState, Outcome

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


def add_results(
    session: Session,
    scored: Sequence[tuple[int, Scored]],
    *,
    model_id: int,
    preprocessing_version: str,
    flow_run_id: str | None,
    now: datetime,
    shadow: bool = False,
) -> None:
    """Write the results of X-rays (by id); files without a score, and results that exist, change nothing."""
    rows = {
        xray_id: {
            "xray_id": xray_id,
            "model_id": model_id,
            "preprocessing_version": preprocessing_version,
            "probability": file.score.probability,
            "outcome": file.score.outcome,
            "refer_reason": file.score.refer_reason,
            "distance": file.score.distance,
            "scored_at": now,
            "flow_run_id": flow_run_id,
            "duration_ms": file.duration_ms,
            "shadow": shadow,
            "study": file.study,
            "image": file.image,
        }
        for xray_id, file in scored
        if file.score is not None
    }
    if not rows:
        return
    with adding(session, ResultRow):
        write_rows(session, _keep_known(session.get_bind().dialect.name), list(rows.values()))


@cache
def _keep_known(dialect: str) -> sqlite.Insert | postgresql.Insert:
    return insert_on(dialect, ResultRow).on_conflict_do_nothing(
        index_elements=["xray_id", "model_id", "preprocessing_version"]
    )


def iter_result_lines(session: Session, *, since: datetime | None = None) -> Iterator[ResultLine]:
    """One line for every current file the service decided on (since a time, if given), by name; read as a stream.

    An X-ray's probability is the champion's, else the newest one; shadow results never show.
    """
    statement = _FILES.order_by(IncomingFileRow.name, IncomingFileRow.id)
    if since is not None:
        statement = statement.where(IncomingFileRow.decided_at >= since)
    with session.execute(statement, execution_options={"yield_per": _LINES_AT_ONCE}) as files:
        for part in files.partitions():
            yield from (line for _, line in _add_results(session, part))


def read_result_lines(session: Session, xray_ids: Sequence[int]) -> dict[int, ResultLine]:
    """The line of each of these X-rays that has a current file; of several files the first by name."""
    lines: dict[int, ResultLine] = {}
    file = IncomingFileRow
    for part in pieces(xray_ids):
        files = session.execute(_FILES.where(file.xray_id.in_(part)).order_by(file.name, file.id)).all()
        for xray_id, line in _add_results(session, files):
            if xray_id is not None:
                lines.setdefault(xray_id, line)
    return lines


_LINES_AT_ONCE = 1000
_FILES = select(
    IncomingFileRow.name,
    IncomingFileRow.xray_id,
    IncomingFileRow.refused_sha256,
    IncomingFileRow.state,
    IncomingFileRow.reason_code,
).where(IncomingFileRow.superseded_at.is_(None), IncomingFileRow.state != FileState.NEW)

# One statement for every piece: one made anew keeps its list in a circle of references, until somebody looks for those.
_OF_XRAYS = select(current_results).where(current_results.c.xray_id.in_(bindparam("xray_ids", expanding=True)))


def _add_results(session: Session, files: Sequence[Row[Any]]) -> Iterator[tuple[int | None, ResultLine]]:
    """The line of each file, with its X-ray's id.

    Results are asked for by X-ray: joined to files, SQLite puts the view together for all X-rays that there are.
    """
    ids = sorted({file.xray_id for file in files if file.xray_id is not None})
    known: dict[int | None, Row[Any]] = {}
    for part in pieces(ids):
        found = session.execute(_OF_XRAYS, {"xray_ids": part})
        known |= {result.xray_id: result for result in found}
    for file in files:
        result = known.get(file.xray_id)
        yield (
            file.xray_id,
            ResultLine(
                file.name,
                result.sha256 if result else file.refused_sha256,
                result.patient if result else None,
                result.outcome if result else None,
                result.probability if result else None,
                result.model_version if result else None,
                result.scored_at if result else None,
                file.state,
                file.reason_code,
                result.label if result else None,
                result.labelled_by if result else None,
                result.labelled_at if result else None,
                result.refer_reason if result else None,
                result.study if result else None,
                result.image if result else None,
            ),
        )


def list_scored_xrays(session: Session, *, newest: int | None = None) -> list[ScoredXray]:
    """Every X-ray with a result that is no shadow's, by id; or the newest so many, the last one that came in first."""
    scored = select(ResultRow.id).where(ResultRow.xray_id == XrayRow.id, ~ResultRow.shadow).exists()
    statement = (
        select(XrayRow, FolderRow, current_results.c.label)
        .join(FolderRow, FolderRow.id == XrayRow.folder_id)
        .join(current_results, current_results.c.xray_id == XrayRow.id)
        .where(scored)
        .order_by(XrayRow.id if newest is None else XrayRow.id.desc())
        .limit(newest)
    )
    found = session.execute(statement).tuples().all()
    names = _read_names(session, min((row.id for row, *_ in found), default=0))
    return [
        ScoredXray(
            xray_id=row.id,
            sha256=row.sha256,
            path=to_film_path(folder, row.path),
            name=names.get(row.id),
            patient=row.patient,
            label=label,
            file_format=row.file_format,
            width=row.width,
            height=row.height,
        )
        for row, folder, label in found
    ]


def _read_names(session: Session, from_id: int) -> dict[int, str]:
    """Of X-rays from this number on, the first by name of the files that they came in: one pass over the files."""
    file = IncomingFileRow
    first = select(file.xray_id, func.min(file.name)).where(file.xray_id >= from_id).group_by(file.xray_id)
    return {xray_id: name for xray_id, name in session.execute(first).tuples() if xray_id is not None}


def read_scores(
    session: Session, model_id: int, preprocessing_version: str
) -> dict[int, tuple[float, Outcome, str | None]]:
    """What a model has said, by X-ray id, and why it referred; in the shadow too."""
    row = ResultRow
    rows = session.execute(
        select(row.xray_id, row.probability, row.outcome, row.refer_reason).where(
            row.model_id == model_id, row.preprocessing_version == preprocessing_version
        )
    )
    return {xray_id: (probability, outcome, reason) for xray_id, probability, outcome, reason in rows.tuples()}
