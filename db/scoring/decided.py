"""What the service decided of each file, newest first, for a page that only shows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, case, false, func, or_, select
from sqlalchemy.orm import Session

from db.bulk import pieces
from db.columns import to_day
from db.records import DecidedFile, FileFate, FilmFile
from db.scoring.folders import to_film_path
from db.scoring.tables import FolderRow, IncomingFileRow, ResultRow, XrayRow
from db.scoring.views import current_results
from xray_core.records import SINCE_CONFOUNDED, FileState, Outcome, ReasonCode, escape_name

_DECIDED = (FileState.SCORED, FileState.REJECTED, FileState.DEFERRED)


def list_decided(
    session: Session,
    *,
    words: tuple[str | None, str | None] = (None, None),
    day: date | None = None,
    hidden: Collection[int] = (),
    withheld: Collection[str] = (),
    page: tuple[int, int] = (0, 60),
) -> tuple[list[DecidedFile], int]:
    """One page (its offset and size) of the current files, and how many fit in all.

    `words` are an outcome (or `not scored`) and a reason, `day` is one of UTC; X-rays in `hidden` do not appear.
    `withheld` are models whose outcomes count as `refer` (`xray_core.records.withhold`), though the rows are as stored.
    """
    chosen = _choose(words, day, hidden, withheld)
    total = session.scalar(select(func.count()).select_from(chosen.subquery())) or 0
    rows = session.execute(
        chosen.order_by(IncomingFileRow.decided_at.desc(), IncomingFileRow.id.desc()).offset(page[0]).limit(page[1])
    )
    return [DecidedFile(*row) for row in rows.tuples()], total


def read_fates(session: Session, folder_id: int, names: Sequence[bytes], *, model_id: int) -> dict[bytes, FileFate]:
    """What became of files by their name in a folder; one that was never claimed is not among them."""
    file, result = IncomingFileRow, ResultRow
    fates: dict[bytes, FileFate] = {}
    escaped = {escape_name(name): name for name in names}
    result_of = (result.xray_id == file.xray_id) & (result.model_id == model_id) & result.shadow.is_(False)
    for part in pieces(list(escaped)):
        rows = session.execute(
            select(file.name, file.state, file.reason_code, file.decided_at, result.outcome, result.scored_at)
            .outerjoin(result, result_of)
            .where(file.name.in_(part), file.folder_id == folder_id, file.superseded_at.is_(None))
        )
        fates.update({escaped[row[0]]: FileFate(*row[1:]) for row in rows.tuples()})
    return fates


def list_reasons(session: Session, *, withheld: Collection[str] = ()) -> list[str]:
    """Every reason that stands with a result or a refusal today, or is shown with one of a model in `withheld`."""
    file, today = IncomingFileRow, current_results.c
    refused = select(file.reason_code).where(_is_current(), file.reason_code.is_not(None)).distinct()
    referred = select(today.refer_reason).where(today.refer_reason.is_not(None)).distinct()
    since = select(today.outcome).where(today.model_version.in_(withheld), today.outcome != Outcome.REFER).distinct()
    reasons = {SINCE_CONFOUNDED[outcome] for outcome in session.scalars(since)} if withheld else set()
    reasons |= {code.value for code in session.scalars(refused) if code}
    return sorted(reasons | set(map(str, session.scalars(referred))))


def list_days(session: Session) -> list[str]:
    """The days (UTC) on which something was decided, newest first."""
    day = to_day(session, IncomingFileRow.decided_at)
    return [str(value) for value in session.scalars(select(day).where(_is_current()).distinct().order_by(day.desc()))]


def find_film(session: Session, xray_id: int) -> FilmFile | None:
    """Where an X-ray's bytes were last read, None for an id that nobody has."""
    found = session.execute(
        select(XrayRow, FolderRow).join(FolderRow, FolderRow.id == XrayRow.folder_id).where(XrayRow.id == xray_id)
    ).first()
    return FilmFile(found[0].sha256, to_film_path(found[1], found[0].path)) if found else None


def find_decided(session: Session, xray_id: int) -> DecidedFile | None:
    """The newest decision on an X-ray."""
    row = session.execute(
        _select().where(IncomingFileRow.xray_id == xray_id).order_by(IncomingFileRow.id.desc()).limit(1)
    ).first()
    return DecidedFile(*row) if row else None


def _choose(
    words: tuple[str | None, str | None], day: date | None, hidden: Collection[int], withheld: Collection[str]
) -> Select[Any]:
    file, today = IncomingFileRow, current_results.c
    chosen = _select()
    outcome, reason = words
    if outcome == "not scored":
        chosen = chosen.where(file.state != FileState.SCORED)
    elif outcome:
        shown = case(
            (today.model_version.in_(withheld) & today.outcome.is_not(None), Outcome.REFER), else_=today.outcome
        )
        chosen = chosen.where(shown == outcome)
    if reason:
        is_refused = file.reason_code == reason if reason in set(ReasonCode) else false()
        was = next((outcome for outcome, words in SINCE_CONFOUNDED.items() if words == reason), None)
        is_withheld = (today.outcome == was) & today.model_version.in_(withheld) if was else false()
        chosen = chosen.where(or_(today.refer_reason == reason, is_refused, is_withheld))
    if day:
        start = datetime.combine(day, time(), tzinfo=UTC)
        chosen = chosen.where(file.decided_at >= start, file.decided_at < start + timedelta(days=1))
    if hidden:
        chosen = chosen.where(or_(file.xray_id.is_(None), file.xray_id.not_in(hidden)))
    return chosen


def _select() -> Select[Any]:
    file, today = IncomingFileRow, current_results.c
    return (
        select(
            file.xray_id,
            func.coalesce(today.sha256, file.refused_sha256),
            today.outcome,
            today.probability,
            today.refer_reason,
            file.reason_code,
            file.decided_at,
            today.model_version,
        )
        .outerjoin(current_results, today.xray_id == file.xray_id)
        .where(_is_current())
    )


def _is_current() -> ColumnElement[bool]:
    return IncomingFileRow.superseded_at.is_(None) & IncomingFileRow.state.in_(_DECIDED)
