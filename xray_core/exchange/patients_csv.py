"""A patients CSV: whose films are, and what more it says of them, as it stands there."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from xray_core.errors import RefusedInput
from xray_core.exchange.csv_table import CsvRow, CsvTable, read_csv_table, read_number
from xray_core.exchange.formula_guard import unguard_text
from xray_core.imaging.patient_ids import is_placeholder
from xray_core.records import age_group

# What the columns are called here, then in the tables of public sets (NIH, RSNA, SIIM, PadChest, MIMIC, VinDr).
_COLUMNS: Final = {
    "filename": (
        "filename",
        "file",
        "file_name",
        "image",
        "image_name",
        "image_path",
        "image_file",
        "path",
        "file_path",
    ),
    "xray_sha256": ("xray_sha256", "sha256"),
    "patient_id": ("patient_id", "patientid", "subject_id"),
    "source": ("source",),
    "view": ("view", "view_position"),
    "sex": ("sex", "gender", "patient_sex", "patient_gender"),
    "age": ("age", "patient_age"),
}
_ELSE: Final = ("image_index", "image_id", "imageid")  # names the film where no column above does
_KNOWN = frozenset(name for names in (*_COLUMNS.values(), _ELSE) for name in names)
_EXPECTED = "expected filename or sha256, and patient_id, each once"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNKNOWN = {"", "nan", "none", "null", "na", "n/a", "unknown", "not stated"}
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class PatientLine:
    """One row: a film by its content or else its file name, and its patient's id as the CSV has it.

    `patient_id` is None for an empty cell and for a placeholder as ANONYMOUS: the row names nobody.
    """

    line: int
    filename: str
    xray_sha256: str | None
    patient_id: str | None = field(repr=False)
    source: str | None = None
    view: str | None = None
    sex: str | None = None
    age_group: str | None = None


@dataclass(frozen=True, slots=True)
class ReadPatients:
    """The rows that can be read, and a sentence for each that cannot; all of them are taken or none."""

    source: str
    rows: tuple[PatientLine, ...]
    problems: tuple[str, ...]


def read_patients_csv(path: Path) -> ReadPatients:
    """Read `filename` or `sha256`, and `patient_id`, in any order and with more columns, whatever program wrote it.

    `source`, `view`, `sex` and `age` (years) are read where they are there. Columns of one meaning must agree. Never
    raises for the file's content: problems are in the answer. Raises RefusedInput where there is no file; OSError.
    """
    try:
        table = read_csv_table(path, known=_KNOWN)
    except FileNotFoundError:
        raise RefusedInput(f"{path}: there is no such file; expected a CSV with filename and patient_id") from None
    places = _find_columns(table)
    if places is None:
        received = f"received the columns {table.say_columns()}; {_EXPECTED}"
        return ReadPatients(table.source, (), (*map(str, table.problems), received))
    problems = [(problem.line or 0, str(problem)) for problem in table.problems]
    rows: list[PatientLine] = []
    for row in table.rows:
        try:
            rows.append(_read_row(row, places, len(table.columns)))
        except _BadRow as bad:
            problems.append((row.line, f"line {row.line}: {bad}"))
    if not rows and not problems:
        problems = [(0, f"no row; {_EXPECTED}, for every X-ray")]
    return ReadPatients(table.source, tuple(rows), tuple(sentence for _, sentence in sorted(problems)))


def list_problems(problems: list[str]) -> str:
    """A line for each of twenty problems; more are counted."""
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    return "\n".join((*problems[:_SHOWN], *more))


def read_word(text: str | None) -> str | None:
    """A cell's word, None where it says that nobody knows."""
    written = (text or "").strip()
    return None if written.casefold() in _UNKNOWN else written


def read_age(text: str | None) -> str | None:
    """The band of an age in years, with a decimal point or comma; None where there is none."""
    years = read_number(text or "")
    return age_group(years) if years is not None and math.isfinite(years) and years >= 0 else None


class _BadRow(Exception):
    pass


def _find_columns(table: CsvTable) -> Mapping[str, tuple[int, ...]] | None:
    """Where the columns of each meaning stand; None where a film or its patient has none, or one stands there twice."""
    names = table.columns
    places = {
        meaning: tuple(names.index(alias) for alias in aliases if alias in names)
        for meaning, aliases in _COLUMNS.items()
    }
    places["filename"] = places["filename"] or tuple(names.index(alias) for alias in _ELSE if alias in names)
    repeated = any(names.count(names[place]) > 1 for known in places.values() for place in known)
    if repeated or not places["patient_id"] or not (places["filename"] or places["xray_sha256"]):
        return None
    return places


def _read_row(row: CsvRow, places: Mapping[str, tuple[int, ...]], columns: int) -> PatientLine:
    if any(cell.strip() for cell in row.cells[columns:]):
        raise _BadRow(f"received {len(row.cells)} cells; expected {columns}; put cells in quotes")
    said = {
        meaning: [
            unguard_text(row.cells[place]).strip() for place in known if place < len(row.cells) and row.cells[place]
        ]
        for meaning, known in places.items()
    }
    filename, patient_id = _agree(said["filename"], _base_name), _agree(said["patient_id"])
    sha256 = _agree([word.lower() for word in said["xray_sha256"]])
    if sha256 and not _SHA256.fullmatch(sha256):
        raise _BadRow(f"received sha256 {sha256[:70]!r}; expected 64 hex digits, or none")
    if "\0" in filename or not (filename or sha256):
        raise _BadRow("the file name is empty; expected a file name or a sha256")
    return PatientLine(
        line=row.line,
        filename=filename.replace("\\", "/"),
        xray_sha256=sha256 or None,
        patient_id=None if is_placeholder(patient_id) else patient_id,
        source=read_word(_agree(said["source"])),
        view=read_word(_agree(said["view"])),
        sex=read_word(_agree(said["sex"])),
        age_group=read_age(_agree(said["age"])),
    )


def _base_name(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


def _agree(words: list[str], form: Callable[[str], str] = str) -> str:
    """What columns of one meaning say, empty where none says anything."""
    given = [word for word in words if word]
    if len({form(word) for word in given}) > 1:
        raise _BadRow(f"received {' and '.join(map(repr, given))} in columns of one meaning; expected one of them")
    return given[0] if given else ""
