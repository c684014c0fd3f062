"""How much is known of whose the films are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from db.scoring.patients import HEADER, PatientFact, read_patients
from db.scoring.tables import IncomingFileRow, LabelRow, PatientFactRow, ResultRow, XrayRow


@dataclass(frozen=True, slots=True)
class PatientTally:
    """X-rays with a known and an unknown patient, of those that are labelled and of all; patients; facts that wait.

    `corrected` X-rays were said to be another patient's before; `against_header` ones are another's by what came with
    the film.
    """

    known: int
    unknown: int
    labelled_unknown: int
    patients: int
    waiting: int
    corrected: int
    against_header: int


def count_waiting(session: Session, facts: Sequence[PatientFact]) -> int:
    """How many of these facts are about films that are not here yet."""
    here = read_patients(session, [fact.sha256 for fact in facts if fact.sha256 is not None])
    return sum(fact.sha256 is None or fact.sha256 not in here for fact in facts)


def count_patients(session: Session) -> PatientTally:
    """How much is known of whose the X-rays are."""
    row, fact = XrayRow, PatientFactRow
    named = select(IncomingFileRow.name).where(IncomingFileRow.xray_id.is_not(None))
    waits = (fact.name.is_not(None) & fact.name.not_in(named)) | (
        fact.sha256.is_not(None) & fact.sha256.not_in(select(row.sha256))
    )
    otherwise = _said_otherwise(func.count(func.distinct(row.id)))
    unknown = count_unknown(session)
    return PatientTally(
        known=_count(session) - unknown.xrays,
        unknown=unknown.xrays,
        labelled_unknown=unknown.labelled,
        patients=session.scalar(select(func.count(func.distinct(row.patient)))) or 0,
        waiting=session.scalar(select(func.count()).select_from(fact).where(waits)) or 0,
        corrected=session.scalar(otherwise.where(fact.source != HEADER)) or 0,
        against_header=unknown.against_header,
    )


@dataclass(frozen=True, slots=True)
class PatientGaps:
    """X-rays of which nobody knows the patient, those of them that are labelled, and those of which two are named.

    Of the last a CSV names one patient, and what came with the film another.
    """

    xrays: int
    labelled: int
    against_header: int


def count_unknown(session: Session) -> PatientGaps:
    """How much is not known, from indexes that hold only that."""
    row = XrayRow
    otherwise = _said_otherwise(func.count(func.distinct(row.id)))
    return PatientGaps(
        xrays=_count(session, row.patient.is_(None)),
        labelled=_count(session, row.patient.is_(None), row.id.in_(select(LabelRow.xray_id))),
        against_header=session.scalar(otherwise.where(PatientFactRow.source == HEADER)) or 0,
    )


def read_former_patients(session: Session, *, among: Select[tuple[int]]) -> dict[int, tuple[str, ...]]:
    """Of X-rays (by id, of those that `among` finds) of which something else was said than what counts now.

    That is the other patients.
    """
    former: defaultdict[int, set[str]] = defaultdict(set)
    otherwise = _said_otherwise(XrayRow.id, PatientFactRow.patient).where(XrayRow.id.in_(among))
    for xray_id, patient in session.execute(otherwise).tuples():
        former[xray_id].add(patient)
    return {xray_id: tuple(sorted(patients)) for xray_id, patients in former.items()}


def count_unknown_scored(session: Session) -> int:
    """How many X-rays with a result have no known patient."""
    scored = select(ResultRow.id).where(ResultRow.xray_id == XrayRow.id, ~ResultRow.shadow).exists()
    return _count(session, XrayRow.patient.is_(None), scored)


def _count(session: Session, *conditions: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(XrayRow).where(*conditions)) or 0


def _said_otherwise(*columns: Any) -> Select[Any]:
    """X-rays with facts about their content that name another patient than theirs."""
    return (
        select(*columns)
        .select_from(XrayRow)
        .join(PatientFactRow, PatientFactRow.sha256 == XrayRow.sha256)
        .where(PatientFactRow.patient != XrayRow.patient)
    )
