"""Patients becoming known: from a CSV into the ledger, for films that are there and films that have yet to come."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.orm import Session

from db import audit
from db.engine import snapshot, transaction
from db.scoring import film_names, patients
from db.scoring.patients import PatientFact, PatientTally
from flows.home.ledger import open_ledger
from flows.home.site_key import name_patient, read_site_key
from flows.settings import Settings
from xray_core.exchange.file_names import match_names
from xray_core.exchange.patients_csv import PatientLine, ReadPatients, read_patients_csv, refuse_patients
from xray_core.exchange.records import LabelLine
from xray_core.records import escape_name


@dataclass(frozen=True, slots=True)
class PatientImport:
    """What one import did: rows that fit films here, rows that wait for theirs, rows that name nobody, new facts."""

    matched: int
    waiting: int
    placeholders: int
    new: int


def import_patients(settings: Settings, source: Path) -> PatientImport:
    """Take in a patients CSV, all rows or none; raises RefusedInput with every row that cannot be true."""
    read, key = read_patients_csv(source), read_site_key(settings)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    with open_ledger(settings) as engine, transaction(engine) as session:
        facts, problems = _find_facts(session, read, key)
        if problems:
            raise refuse_patients(read.source, problems)
        now = datetime.now(UTC)
        new = patients.add_facts(session, facts, source="csv", import_sha256=digest, now=now)
        matched = sum(fact.sha256 is not None for fact in facts)
        waiting = patients.count_waiting(session, facts)
        done = PatientImport(len(facts) - waiting, waiting, read.placeholders, new)
        if new:
            audit.append(
                session,
                actor="operator",
                action="patients-imported",
                subject=digest[:16],
                detail={"rows": len(facts), "by_content": matched, "waiting": waiting, "new": new},
                now=now,
            )
    return done


def read_patient_tally(settings: Settings) -> PatientTally:
    """How much is known of whose the X-rays are."""
    with open_ledger(settings) as engine, snapshot(engine) as session:
        return patients.count_patients(session)


def find_label_patients(
    session: Session, matched: Sequence[tuple[LabelLine, int]], key: bytes
) -> tuple[list[PatientFact], list[str]]:
    """What the `patient_id` column of a labels CSV says of its X-rays (by id), and what of it cannot be true."""
    named = [(row, xray_id) for row, xray_id in matched if row.patient_id]
    known = patients.read_patients_of(session, [xray_id for _, xray_id in named])
    said: dict[str, str] = {}
    problems: list[str] = []
    for row, xray_id in named:
        patient, (sha256, before) = name_patient(key, row.patient_id), known[xray_id]
        if patient is None:
            continue
        if said.setdefault(sha256, before or patient) != patient:
            problems.append(f"line {row.line}: patient_id: this X-ray is known as another patient's")
    return [PatientFact(sha256, None, patient) for sha256, patient in said.items()], problems


def _find_facts(session: Session, read: ReadPatients, key: bytes) -> tuple[list[PatientFact], list[str]]:
    """What each row says of which film, and a sentence for each that contradicts what is known."""
    by_name = _find_contents(session, [row.filename for row in read.rows if row.xray_sha256 is None])
    contents = {sha256 for found in by_name.values() for sha256 in found}
    contents |= {row.xray_sha256 for row in read.rows if row.xray_sha256 is not None}
    known = patients.read_patients(session, sorted(contents))
    facts: list[PatientFact] = []
    problems: list[str] = []
    said: dict[str, PatientLine] = {}
    for row in read.rows:
        patient = name_patient(key, row.patient_id)
        assert patient is not None, "placeholders were left out"
        found = [row.xray_sha256] if row.xray_sha256 else sorted(by_name.get(row.filename, set()))
        problem = _find_problem(row, patient, found, known, said)
        if problem:
            problems.append(f"line {row.line}: {problem}")
        elif found:
            facts.append(PatientFact(found[0], None, patient))
        else:
            facts.append(PatientFact(None, escape_name(os.fsencode(_base_name(row.filename))), patient))
    return facts, problems


def _find_problem(
    row: PatientLine, patient: str, found: list[str], known: dict[str, str | None], said: dict[str, PatientLine]
) -> str | None:
    if len(found) > 1:
        return f"{row.filename} fits {len(found)} different X-rays; give sha256"
    if not found:
        return None
    first = said.setdefault(found[0], row)
    if first.patient_id != row.patient_id:
        return f"another patient than in line {first.line} for the same X-ray; expected one"
    if known.get(found[0]) not in (None, patient):
        return (
            "this X-ray is known as another patient's, by its own DICOM header or by what was imported before; what it "
            "was trained and judged as stays: take the line out"
        )
    return None


def _find_contents(session: Session, names: list[str]) -> dict[str, set[str]]:
    """The contents that each name means: its very own, else by likeness where that is unique."""
    found = film_names.find_contents(session, names)
    strangers = [name for name in names if name not in found]
    if not strangers:
        return found
    meant = {
        name: known for name, known in match_names(strangers, film_names.iter_film_names(session)).items() if known
    }
    by_likeness = film_names.find_contents(session, sorted({name for names in meant.values() for name in names}))
    return found | {
        name: {sha256 for alike in known for sha256 in by_likeness.get(alike, set())} for name, known in meant.items()
    }


def _base_name(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]
