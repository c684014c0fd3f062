"""Whose films are, as it becomes known: facts are added and never changed; an X-ray's patient follows from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.bulk import pieces
from db.scoring.tables import IncomingFileRow, PatientFactRow, XrayRow
from db.sealing import adding, changing

# `delivery` is what came with a film: its own header, or the dataset that it was registered with.
Source = Literal["csv", "labels", "dataset", "delivery"]
HEADER: Final = "delivery"


@dataclass(frozen=True, slots=True)
class PatientFact:
    """A film, by its SHA-256 or else by an escaped file name that has yet to come, and its patient's pseudonym."""

    sha256: str | None
    name: str | None
    patient: str


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


@dataclass(frozen=True, slots=True)
class AddedFacts:
    """How many facts were new; how many X-rays were another patient's until now, by a header or dataset some."""

    new: int
    corrected: int
    against_header: int


def digest_said(session: Session, sha256s: Sequence[str]) -> str | None:
    """The SHA-256 of whose these contents are, of those of which somebody said so; None where nobody did."""
    lines: list[str] = []
    for part in pieces(sha256s):
        said = select(PatientFactRow.sha256).where(PatientFactRow.sha256.in_(part), PatientFactRow.source != HEADER)
        found = session.execute(select(XrayRow.sha256, XrayRow.patient).where(XrayRow.sha256.in_(said))).tuples()
        lines += [f"{sha256} {patient}\n" for sha256, patient in found]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest() if lines else None


def add_facts(
    session: Session, facts: Sequence[PatientFact], *, source: Source, import_sha256: str, now: datetime
) -> AddedFacts:
    """Write down what is new, and give X-rays the patient that was said of them last.

    The patient whom an X-ray had before stays written down: by the fact that said so, or, where it came with the film
    (in its header, or with its dataset), by one that is added now. Only in `transaction`.
    """
    said = _read_facts(session, [f.sha256 for f in facts if f.sha256], [f.name for f in facts if f.name])
    here = read_patients(session, [fact.sha256 for fact in facts if fact.sha256 is not None])
    new = [fact for fact in facts if fact.patient != (here.get(fact.sha256 or "") or said.get(_film(fact)))]
    replaced = {sha256: patient for fact in new if (sha256 := fact.sha256 or "") and (patient := here.get(sha256))}
    against = record_headers(session, replaced, now=now)
    _write(session, new, source=source, import_sha256=import_sha256, now=now)
    _set_patients(session, {fact.sha256: fact.patient for fact in new if fact.sha256 in here})
    return AddedFacts(len(new), len(replaced), against)


def record_headers(session: Session, patients: Mapping[str, str], *, now: datetime) -> int:
    """Write down whose films (by SHA-256) are by what came with them, where that is said otherwise and nobody knows.

    Returns how many were written. Only in `transaction`.
    """
    known = {pair for part in pieces(list(patients)) for pair in _read_said_of(session, part)}
    new = [PatientFact(sha256, None, patient) for sha256, patient in patients.items() if (sha256, patient) not in known]
    for fact in new:
        _write(session, [fact], source="delivery", import_sha256=fact.sha256 or "", now=now)
    return len(new)


def apply_to_arrivals(session: Session, arrived: Mapping[str, str], *, now: datetime) -> None:
    """Give films that have just come (escaped file names by SHA-256) the patient that was said of them before.

    What a person said counts, also where a film's own header says otherwise; that is written down then. A fact about
    a name is meant for the first content under that name: a second one may be anybody's.
    """
    if session.scalar(select(PatientFactRow.id).limit(1)) is None:
        return  # one look instead of two questions for every film
    said = _read_facts(session, list(arrived), list(arrived.values()))
    if not said:
        return
    had_another = set(
        session.scalars(
            select(IncomingFileRow.name).where(
                IncomingFileRow.name.in_(set(arrived.values()) & set(said)),
                IncomingFileRow.superseded_at.is_not(None),
                IncomingFileRow.xray_id.is_not(None),
            )
        )
    )
    by_name = {name: patient for name, patient in said.items() if name not in had_another}
    here = read_patients(session, list(arrived))
    meant = {sha256: said.get(sha256) or by_name.get(name) for sha256, name in arrived.items()}
    changed = {
        sha256: patient for sha256, patient in meant.items() if patient is not None and patient != here.get(sha256)
    }
    record_headers(session, {sha256: before for sha256 in changed if (before := here.get(sha256))}, now=now)
    _set_patients(session, changed)


def add_sidecars(session: Session, said: Mapping[str, tuple[str, str, datetime]], *, now: datetime) -> None:
    """Take in what lay beside films (by SHA-256: the film's escaped name, the patient, when that was written).

    It counts over the film's own header, as a CSV of one row would. What a person said of the content before counts
    over it, and the disagreement is written down. One from before an earlier content under its name is that one's.
    """
    if not said:
        return
    known = _read_facts(session, list(said), [])
    decided = _read_last_decided(session, [name for name, _, _ in said.values()])
    fresh = {
        sha256: patient
        for sha256, (name, patient, written_at) in said.items()
        if name not in decided or written_at > decided[name]
    }
    record_headers(session, {s: patient for s, patient in fresh.items() if known.get(s, patient) != patient}, now=now)
    for sha256, patient in fresh.items():
        if sha256 not in known:
            add_facts(session, [PatientFact(sha256, None, patient)], source="csv", import_sha256=sha256, now=now)


def _film(fact: PatientFact) -> str:
    return fact.sha256 or fact.name or ""


def _read_facts(session: Session, sha256s: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """The patient that somebody said last of each content and of each name; a header is not somebody."""
    row = PatientFactRow
    said: dict[str, str] = {}
    for column, wanted in ((row.name, names), (row.sha256, sha256s)):
        for part in pieces(wanted):
            found = session.execute(
                select(column, row.patient).where(column.in_(part), row.source != HEADER).order_by(row.id)
            )
            said |= {key: patient for key, patient in found.tuples() if key is not None}
    return said


def _read_said_of(session: Session, sha256s: Sequence[str]) -> set[tuple[str, str]]:
    """Every patient that was ever said of these contents, by whomever."""
    row = PatientFactRow
    found = session.execute(select(row.sha256, row.patient).where(row.sha256.in_(sha256s))).tuples()
    return {(sha256, patient) for sha256, patient in found if sha256 is not None}


def _read_last_decided(session: Session, names: Sequence[str]) -> dict[str, datetime]:
    """When the last earlier content under each name was decided, of those that had one."""
    row = IncomingFileRow
    found = session.execute(
        select(row.name, func.max(row.decided_at))
        .where(row.name.in_(names), row.superseded_at.is_not(None), row.xray_id.is_not(None))
        .group_by(row.name)
    )
    return {name: decided_at for name, decided_at in found.tuples() if decided_at is not None}


def _write(
    session: Session, facts: Sequence[PatientFact], *, source: Source, import_sha256: str, now: datetime
) -> None:
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
            for fact in facts
        )


def _set_patients(session: Session, patients: Mapping[str, str]) -> None:
    with changing(session, XrayRow, list(patients), by="sha256"):
        for sha256, patient in patients.items():
            session.execute(
                update(XrayRow)
                .where(XrayRow.sha256 == sha256)
                .values(patient=patient)
                .execution_options(synchronize_session=False)
            )
