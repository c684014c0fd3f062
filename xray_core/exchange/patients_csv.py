"""Whose films are: the CSV that says so for films that are known and films that have yet to come."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xray_core.errors import RefusedInput
from xray_core.exchange.csv_table import CsvRow, read_csv_table
from xray_core.exchange.formula_guard import unguard_text
from xray_core.imaging.patient_ids import is_placeholder

_NAMES: Final = ("filename", "file", "file_name", "image", "image_name")
_CONTENTS: Final = ("xray_sha256", "sha256")
_PATIENTS: Final = ("patient_id", "patientid")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class PatientLine:
    """One row: a film by its content or else its file name, and the patient's id as the CSV has it."""

    line: int
    filename: str
    xray_sha256: str | None
    patient_id: str


@dataclass(frozen=True, slots=True)
class ReadPatients:
    """The rows that name a patient, and how many name none (an empty id, or a placeholder as ANONYMOUS)."""

    source: str
    rows: tuple[PatientLine, ...]
    placeholders: int


def read_patients_csv(path: Path) -> ReadPatients:
    """Read `filename` or `sha256`, and `patient_id`, in any order and with more columns; all rows or none.

    Raises RefusedInput with every bad row: no such column, a row without film, an SHA-256 that is none, one film that
    is two patients'; OSError.
    """
    table = read_csv_table(path, known={*_NAMES, *_CONTENTS, *_PATIENTS})
    places = [
        next((table.columns.index(name) for name in names if name in table.columns), None)
        for names in (_NAMES, _CONTENTS, _PATIENTS)
    ]
    name_at, content_at, patient_at = places
    if patient_at is None or (name_at is None and content_at is None):
        problems = [str(problem) for problem in table.problems]
        problems += [f"received the columns {', '.join(table.columns) or 'none'}"]
        raise refuse_patients(table.source, [f"{'; '.join(problems)}; expected filename or sha256, and patient_id"])
    rows: list[PatientLine] = []
    problems, placeholders = [str(problem) for problem in table.problems], 0
    said: dict[str, PatientLine] = {}
    for row in table.rows:
        patient_id = unguard_text(_cell(row, patient_at)).strip()
        if is_placeholder(patient_id):
            placeholders += 1
            continue
        given = PatientLine(
            row.line,
            unguard_text(_cell(row, name_at)).strip(),
            _cell(row, content_at).strip().lower() or None,
            patient_id,
        )
        problem = _find_problem(given, said)
        if problem:
            problems.append(f"line {row.line}: {problem}")
        else:
            rows.append(given)
    if problems:
        raise refuse_patients(table.source, problems)
    return ReadPatients(table.source, tuple(rows), placeholders)


def refuse_patients(source: str, problems: list[str]) -> RefusedInput:
    """One error for all bad rows; beyond twenty they are counted."""
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    heading = f"{source}: refused, nothing was imported; {len(problems)} to mend:"
    return RefusedInput("\n".join((heading, *problems[:_SHOWN], *more)))


def _find_problem(given: PatientLine, said: dict[str, PatientLine]) -> str | None:
    if given.xray_sha256 is not None and not _SHA256.fullmatch(given.xray_sha256):
        return f"received sha256 {given.xray_sha256[:70]!r}; expected 64 hex digits, or none"
    if not given.filename and given.xray_sha256 is None:
        return "a patient without a film; expected a file name or a sha256"
    first = said.setdefault(given.xray_sha256 or given.filename, given)
    if first.patient_id != given.patient_id:
        return f"another patient than in line {first.line} for the same film; expected one"
    return None


def _cell(row: CsvRow, place: int | None) -> str:
    return row.cells[place] if place is not None and place < len(row.cells) else ""
