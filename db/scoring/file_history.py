"""What the ledger knows of a file, for people: its versions, states and reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, or_, select, text, union_all
from sqlalchemy.orm import Session

from db.bulk import pieces
from db.columns import begins_with
from db.records import FileHistory
from db.scoring.tables import IncomingFileRow, ResultRow, XrayRow
from db.scoring.views import current_results
from xray_core.records import FileState, ReasonCode


def explain_file(session: Session, name: str) -> list[FileHistory]:
    """All versions of a file by its escaped name, the newest first, each with its X-ray's result of today."""
    return _explain(session, IncomingFileRow.id.in_(_find_named(name)))


def explain_content(session: Session, digits: str) -> list[FileHistory]:
    """The same of all files with a content whose SHA-256 begins with these digits, or of a study or image so called.

    By their names, the newest version first. Contents that were refused count too.
    """
    row = IncomingFileRow
    of_xray = select(XrayRow.id).where(begins_with(XrayRow.sha256, digits))
    # No index serves this: it is asked now and then, and results are written always.
    of_result = select(ResultRow.xray_id).where(or_(ResultRow.study == digits, ResultRow.image == digits))
    return _explain(
        session,
        or_(row.xray_id.in_(of_xray), row.xray_id.in_(of_result), begins_with(row.refused_sha256, digits)),
    )


def _explain(session: Session, which: ColumnElement[bool]) -> list[FileHistory]:
    row, today = IncomingFileRow, current_results.c
    files = session.scalars(select(row).where(which).order_by(row.name, row.id.desc())).all()
    # Apart: joined to files, SQLite puts the view together for all X-rays that there are.
    results = select(
        *(today.xray_id, today.sha256, today.probability, today.outcome, today.model_version, today.refer_reason),
        *(ResultRow.distance, today.study, today.image),
    ).outerjoin(ResultRow, ResultRow.id == today.result_id)
    known: dict[int | None, Sequence[Any]] = {}
    for part in pieces([file.xray_id for file in files if file.xray_id is not None]):
        known |= {found.xray_id: found[1:] for found in session.execute(results.where(today.xray_id.in_(part)))}
    rows = [(file, *known.get(file.xray_id, [None] * 8)) for file in files]
    return [
        FileHistory(
            file_id=file.id,
            name=file.name,
            size=file.size,
            mtime_ns=file.mtime_ns,
            state=file.state,
            reason_code=file.reason_code,
            reason_detail=file.reason_detail,
            xray_sha256=sha256 or file.refused_sha256,
            first_seen_at=file.first_seen_at,
            decided_at=file.decided_at,
            retry_at=file.retry_at,
            tries=file.tries,
            claimed_by=file.claimed_by,
            superseded_at=file.superseded_at,
            probability=probability,
            outcome=outcome,
            model_version=model_version,
            refer_reason=refer_reason,
            distance=distance,
            study=study,
            image=image,
        )
        for file, sha256, probability, outcome, model_version, refer_reason, distance, study, image in rows
    ]


# In words: only so does SQLite see that a partial index holds all that is asked, and never touch the table.
_DECIDED = text("SELECT count(*) FROM incoming_files WHERE superseded_at IS NULL AND state <> 'new'")
_UNSCORED = text(
    "SELECT state, reason_code, count(*) FROM incoming_files WHERE superseded_at IS NULL AND state <> 'scored' "
    "GROUP BY state, reason_code"
)


def count_states(session: Session) -> tuple[dict[FileState, int], dict[ReasonCode, int]]:
    """How many current files stand in each state (every state is there), and were deferred or rejected, by reason."""
    states, reasons = Counter[FileState](), Counter[ReasonCode]()
    for state, reason, number in session.execute(_UNSCORED).tuples():
        states[FileState(state)] += number
        reasons.update({ReasonCode(reason): number} if reason is not None else {})
    decided = session.execute(_DECIDED).scalar_one()
    states[FileState.SCORED] = decided - states[FileState.REJECTED] - states[FileState.DEFERRED]
    return {state: states[state] for state in FileState}, dict(reasons)


def _find_named(name: str) -> CompoundSelect[tuple[int]]:
    """Current and old versions by name, each through its own partial index."""
    row = IncomingFileRow
    of_name = select(row.id).where(row.name == name)
    return union_all(of_name.where(row.superseded_at.is_(None)), of_name.where(row.superseded_at.is_not(None)))
