"""Whose films are, as it becomes known: facts are added and never changed; an X-ray's patient follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.bulk import pieces
from db.scoring.tables import IncomingFileRow, LabelRow, PatientFactRow, ResultRow, XrayRow
from db.sealing import adding, changing

Source = Literal["csv", "labels"]


@dataclass(frozen=True, slots=True)
class PatientFact:
    """A film, by its SHA-256 or else by an escaped file name that has yet to come, and its patient's pseudonym."""

    sha256: str | None
    name: str | None
    patient: str


@dataclass(frozen=True, slots=True)
class PatientTally:
    """X-rays with a known and an unknown patient, of those that are labelled and of all; patients; facts that wait."""

    known: int
    unknown: int
    labelled_unknown: int
    patients: int
    waiting: int


def read_patients(session: Session, sha256s: Sequence[str]) -> dict[str, str | None]:
    """The patient of each of these contents that is known here, None where nobody knows."""
    found: dict[str, str | None] = {}
    for part in pieces(sha256s):
        found |= dict(
            session.execute(select(XrayRow.sha256, XrayRow.patient).where(XrayRow.sha256.in_(part))).tuples().all()
        )
    return found


def read_patients_of(session: Session, xray_ids: Sequence[int]) -> dict[int, tuple[str, str | None]]:
    """The SHA-256 and, where it is known, the patient of X-rays by id."""
    found: dict[int, tuple[str, str | None]] = {}
    for part in pieces(xray_ids):
        rows = session.execute(select(XrayRow.id, XrayRow.sha256, XrayRow.patient).where(XrayRow.id.in_(part)))
        found |= {xray_id: (sha256, patient) for xray_id, sha256, patient in rows.tuples()}
    return found


def add_facts(
    session: Session, facts: Sequence[PatientFact], *, source: Source, import_sha256: str, now: datetime
) -> int:
    """Write down what is new, and give X-rays without a patient theirs; returns how many facts were new.

    A fact about a content that has another patient already must have been refused before. Only in `transaction`.
    """
    by_content = {fact.sha256: fact.patient for fact in facts if fact.sha256 is not None}
    by_name = {fact.name: fact.patient for fact in facts if fact.name is not None}
    said = _read_facts(session, list(by_content), list(by_name))
    here = read_patients(session, list(by_content))
    new = [
        fact
        for fact in facts
        if fact.patient not in (said.get(fact.sha256 or fact.name or ""), here.get(fact.sha256 or ""))
    ]
    with adding(session, PatientFactRow):
        session.add_all(
            PatientFactRow(
                sha256=fact.sha256,
                name=fact.name,
                patient=fact.patient,
                source=source,
                import_sha256=import_sha256,
                recorded_at=now,
            )
            for fact in new
        )
    _fill(session, by_content)
    return len(new)


def apply_to_arrivals(session: Session, arrived: Mapping[str, str]) -> None:
    """Give films that have just come (escaped file names by SHA-256) the patient that was said of them before.

    A fact about a name is meant for the first content under that name: a second one may be anybody's.
    """
    unknown = [sha256 for sha256, patient in read_patients(session, list(arrived)).items() if patient is None]
    names = {arrived[sha256] for sha256 in unknown}
    said = _read_facts(session, unknown, list(names))
    if not said:
        return
    had_another = set(
        session.scalars(
            select(IncomingFileRow.name).where(
                IncomingFileRow.name.in_(names),
                IncomingFileRow.superseded_at.is_not(None),
                IncomingFileRow.xray_id.is_not(None),
            )
        )
    )
    by_name = {name: patient for name, patient in said.items() if name not in had_another}
    patients = {sha256: said.get(sha256) or by_name.get(arrived[sha256]) for sha256 in unknown}
    _fill(session, {sha256: patient for sha256, patient in patients.items() if patient is not None})


def count_waiting(session: Session, facts: Sequence[PatientFact]) -> int:
    """How many of these facts are about films that are not here yet."""
    here = read_patients(session, [fact.sha256 for fact in facts if fact.sha256 is not None])
    return sum(fact.sha256 is None or fact.sha256 not in here for fact in facts)


def count_patients(session: Session) -> PatientTally:
    """How much is known of whose the X-rays are."""
    row, fact = XrayRow, PatientFactRow
    known = session.scalar(select(func.count()).select_from(row).where(row.patient.is_not(None))) or 0
    unknown = session.scalar(select(func.count()).select_from(row).where(row.patient.is_(None))) or 0
    labelled = select(LabelRow.xray_id).distinct()
    named = select(IncomingFileRow.name).where(IncomingFileRow.xray_id.is_not(None))
    waiting = (
        select(func.count())
        .select_from(fact)
        .where(
            (fact.name.is_not(None) & fact.name.not_in(named))
            | (fact.sha256.is_not(None) & fact.sha256.not_in(select(row.sha256)))
        )
    )
    return PatientTally(
        known=known,
        unknown=unknown,
        labelled_unknown=session.scalar(
            select(func.count()).select_from(row).where(row.patient.is_(None), row.id.in_(labelled))
        )
        or 0,
        patients=session.scalar(select(func.count(func.distinct(row.patient)))) or 0,
        waiting=session.scalar(waiting) or 0,
    )


def count_unknown_scored(session: Session) -> int:
    """How many X-rays with a result have no known patient."""
    scored = select(ResultRow.xray_id).where(~ResultRow.shadow)
    unknown = select(func.count()).select_from(XrayRow).where(XrayRow.patient.is_(None), XrayRow.id.in_(scored))
    return session.scalar(unknown) or 0


def _read_facts(session: Session, sha256s: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """The latest patient that was said of each content and of each name."""
    row = PatientFactRow
    said: dict[str, str] = {}
    for column, wanted in ((row.name, names), (row.sha256, sha256s)):
        for part in pieces(wanted):
            found = session.execute(select(column, row.patient).where(column.in_(part)).order_by(row.id))
            said |= {key: patient for key, patient in found.tuples() if key is not None}
    return said


def _fill(session: Session, patients: Mapping[str, str]) -> None:
    with changing(session, XrayRow, list(patients), by="sha256"):
        for sha256, patient in patients.items():
            session.execute(
                update(XrayRow)
                .where(XrayRow.sha256 == sha256, XrayRow.patient.is_(None))
                .values(patient=patient)
                .execution_options(synchronize_session=False)
            )
