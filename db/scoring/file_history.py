"""What the ledger knows of a file, for people: its versions, states and reasons."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from db.records import FileHistory
from db.scoring.tables import IncomingFileRow, ResultRow, XrayRow
from db.scoring.views import current_results
from xray_core.records import FileState, ReasonCode


def explain_file(session: Session, name: str) -> list[FileHistory]:
    """All versions of a file by its escaped name, the newest first, each with its X-ray's result of today."""
    return _explain(session, _named([name]))


def explain_content(session: Session, digits: str) -> list[FileHistory]:
    """The same of all files with a content whose SHA-256 begins with these digits, or of a study or image so called.

    By their names, the newest version first. Contents that were refused count too.
    """
    row = IncomingFileRow
    of_xray = select(XrayRow.id).where(XrayRow.sha256.startswith(digits))
    # No index serves this: it is asked now and then, and results are written always.
    of_result = select(ResultRow.xray_id).where(or_(ResultRow.study == digits, ResultRow.image == digits))
    return _explain(
        session,
        or_(row.xray_id.in_(of_xray), row.xray_id.in_(of_result), row.refused_sha256.startswith(digits)),
    )


def _explain(session: Session, which: ColumnElement[bool]) -> list[FileHistory]:
    row, today = IncomingFileRow, current_results.c
    rows = session.execute(
        select(
            row,
            today.sha256,
            today.probability,
            today.outcome,
            today.model_version,
            today.refer_reason,
            ResultRow.distance,
            today.study,
            today.image,
        )
        .outerjoin(current_results, today.xray_id == row.xray_id)
        .outerjoin(ResultRow, ResultRow.id == today.result_id)
        .where(which)
        .order_by(row.name, row.id.desc())
    )
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


def count_states(session: Session) -> dict[FileState, int]:
    """How many current files stand in each state; every state is there."""
    counts = dict(
        session.execute(
            select(IncomingFileRow.state, func.count())
            .where(IncomingFileRow.superseded_at.is_(None))
            .group_by(IncomingFileRow.state)
        )
        .tuples()
        .all()
    )
    return {state: counts.get(state, 0) for state in FileState}


def count_reasons(session: Session) -> dict[ReasonCode, int]:
    """How many current files were deferred or rejected, by reason."""
    rows = session.execute(
        select(IncomingFileRow.reason_code, func.count())
        .where(IncomingFileRow.superseded_at.is_(None), IncomingFileRow.reason_code.is_not(None))
        .group_by(IncomingFileRow.reason_code)
    )
    return {code: count for code, count in rows.tuples() if code is not None}


def _named(names: Sequence[str]) -> ColumnElement[bool]:
    """Current and old versions by name, each through its own partial index."""
    row = IncomingFileRow
    return or_(
        and_(row.name.in_(names), row.superseded_at.is_(None)),
        and_(row.name.in_(names), row.superseded_at.is_not(None)),
    )
