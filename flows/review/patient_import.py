"""Patients becoming known: from a CSV into the ledger, for films that are there and films that have yet to come."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.orm import Session

from db import audit
from db.engine import snapshot, transaction
from db.scoring import film_names, patients
from db.scoring.patient_tally import PatientTally, count_patients, count_waiting
from db.scoring.patients import PatientFact
from flows.home.ledger import open_ledger
from flows.home.patients import count_doubted
from flows.home.site_key import name_patient, read_site_key
from flows.review.label_names import find_mangled
from flows.settings import Settings
from xray_core.errors import RefusedInput
from xray_core.exchange.file_names import match_names, matches_few
from xray_core.exchange.patients_csv import PatientLine, ReadPatients, list_problems, read_patients_csv
from xray_core.exchange.records import LabelLine
from xray_core.records import escape_name


@dataclass(frozen=True, slots=True)
class PatientImport:
    """What one import did: films of it that are here, films to come, rows that name nobody, new facts.

    `corrected` films were another patient's until now; `against_header` of them by what came with the film.
    """

    matched: int
    waiting: int
    placeholders: int
    new: int
    corrected: int = 0
    against_header: int = 0


def import_patients(settings: Settings, source: Path, *, to_come: bool = False) -> PatientImport:
    """Take in a patients CSV, all rows or none; the newest word on a film counts, and what it replaces stays recorded.

    Raises RefusedInput with every row that cannot be true, and for a CSV that fits few of the films that are here,
    unless its films are `to_come`.
    """
    read, key = read_patients_csv(source), read_site_key(settings)
    if read.problems:
        raise _refuse(read.source, list(read.problems))
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    with open_ledger(settings) as engine, transaction(engine) as session:
        facts, problems = _find_facts(session, read, key)
        if problems:
            raise _refuse(read.source, problems)
        waiting = count_waiting(session, facts)
        if not to_come:
            _refuse_few(read, len(facts) - waiting, len(facts), film_names.count_films(session))
        now = datetime.now(UTC)
        added = patients.add_facts(session, facts, source="csv", import_sha256=digest, now=now)
        placeholders = sum(row.patient_id is None for row in read.rows)
        done = PatientImport(len(facts) - waiting, waiting, placeholders, *astuple(added))
        if added.new:
            audit.append(
                session,
                actor="operator",
                action="patients-imported",
                subject=digest[:16],
                detail={"rows": len(facts), "waiting": waiting, **asdict(added)},
                now=now,
            )
    return done


def read_patient_tally(settings: Settings) -> tuple[PatientTally, int]:
    """How much is known of whose the X-rays are, and how many labelled ones carry an implausible id."""
    with open_ledger(settings) as engine, snapshot(engine) as session:
        return count_patients(session), count_doubted(session)


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
            problems.append(
                f"line {row.line}: patient_id: this X-ray is known as another patient's; "
                "`xray patients import` corrects it"
            )
    return [PatientFact(sha256, None, patient) for sha256, patient in said.items()], problems


def _find_facts(session: Session, read: ReadPatients, key: bytes) -> tuple[list[PatientFact], list[str]]:
    """What each row that names a patient says of which film, and a sentence for each that cannot be true."""
    rows = [row for row in read.rows if row.patient_id is not None]
    names = [row.filename for row in rows if row.xray_sha256 is None]
    by_name = _find_contents(session, names)
    mangled = find_mangled(session, names, by_name)
    facts: dict[str, PatientFact] = {}
    problems: list[str] = []
    said: dict[str, PatientLine] = {}
    for row in rows:
        found = [row.xray_sha256] if row.xray_sha256 else sorted(by_name.get(row.filename, set()))
        name = escape_name(os.fsencode(row.filename.rpartition("/")[2]))
        film = found[0] if found else name
        first = said.setdefault(film, row)
        if not row.xray_sha256 and row.filename in mangled:
            problems.append(f"line {row.line}: {mangled[row.filename]}")
        elif len(found) > 1:
            problems.append(f"line {row.line}: {row.filename} fits {len(found)} different X-rays; give sha256")
        elif first.patient_id != row.patient_id:
            problems.append(
                f"line {row.line}: another patient than in line {first.line} for the same film; expected one"
            )
        else:
            patient = name_patient(key, row.patient_id)
            assert patient is not None, "placeholders were left out"
            facts[film] = PatientFact(found[0] if found else None, None if found else name, patient)
    return list(facts.values()), problems


def _refuse(source: str, problems: list[str]) -> RefusedInput:
    """One error for all bad rows."""
    heading = f"{source}: refused, nothing was imported; {len(problems)} to mend:"
    return RefusedInput(f"{heading}\n{list_problems(problems)}")


def _refuse_few(read: ReadPatients, fitting: int, films: int, here: int) -> None:
    """Rows of films that are not here may wait for them; where nearly all do, the names are probably others'."""
    if matches_few(fitting, min(films, here)):
        named = [row.filename or f"{row.xray_sha256}" for row in read.rows][:3]
        raise RefusedInput(
            f"{read.source}: refused, nothing was imported; {fitting} of {films} films that it names are here, of "
            f"{here} X-rays: its names are probably others' (they read {', '.join(named)}; `xray export` lists ours "
            "with their sha256). If most of its films have yet to come, say --to-come"
        )


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
