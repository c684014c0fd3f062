"""Labels as reviewers and labelling tools send them back in a CSV."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from xray_core.exchange.csv_table import CsvRow, CsvTable, normal_column, normal_text, read_csv_table, read_number
from xray_core.exchange.formula_guard import unguard_text
from xray_core.exchange.label_rows import A_LABELS_CSV, ReadLabels, gather_rows, name_words, own_word, read_mapping
from xray_core.exchange.records import LabelLine
from xray_core.exchange.results_csv import SCORE_VISIBLE
from xray_core.records import Label, LabelProblem
from xray_core.records import LabelProblemCode as Code

_LONGEST_READER = 200
_SHA256 = re.compile(r"[0-9a-f]{64}")

# What the columns are called here, then in what labelling tools export (Label Studio, CVAT, Roboflow, VIA).
_COLUMNS: Final = {
    "filename": (
        *("filename", "file", "file_name", "image", "image_name", "image_path", "image_file", "img", "path"),
        "file_path",
    ),
    "label": ("label", "choice", "class", "class_name", "label_name", "classification", "category", "diagnosis"),
    "xray_sha256": ("xray_sha256",),
    "labelled_by": ("labelled_by", "labeled_by", "annotated_by", "annotator", "reader"),
    "labelled_at": ("labelled_at", "labeled_at", "annotated_at"),
    "patient_id": ("patient_id", "patientid"),
    SCORE_VISIBLE: (SCORE_VISIBLE,),
}
# A CSV with all of one of these is a results CSV, which showed its reader what the model had said. A hospital's own
# table may have an `outcome` too.
_SCORES: Final = (frozenset({"probability_covid"}), frozenset({"outcome", "xray_sha256"}))
# Where none of those is there.
_ELSE: Final = {"filename": ("external_id", "image_id"), "labelled_at": ("updated_at",)}
_KNOWN = frozenset(name for aliases in (_COLUMNS, _ELSE) for names in aliases.values() for name in names)
_VISIBLE: Final = {"no": False, "yes": True}
_YES = frozenset({"true", "yes", "x"})


def read_labels_csv(path: Path, *, mapping: Mapping[str, str], label_column: str = "label") -> ReadLabels:
    """Read `filename,label[,labelled_by,labelled_at,patient_id]`, a results CSV whose label column was filled in, or an
    export of a labelling tool: its columns are known by their names, or a column for each class has a 1 in one.

    Any order of columns and more of them; whatever `read_csv_table` reads; label words in any case and spacing. Rows
    without a label are passed over: nobody has looked at them yet. The same row twice counts once. Columns that
    mean the same must agree. `mapping` turns a reader's word into a label's, as `pneumonia` into `other`. A time
    without a zone is meant as UTC. What is wrong comes back with the rows, every kind of it in one pass. Raises
    RefusedInput for a mapping that cannot be meant; OSError.
    """
    words = read_mapping(mapping)
    table = read_csv_table(path, known=_KNOWN | set(map(normal_column, (*words, label_column))))
    if not table.header.cells:
        return ReadLabels(table.source, (), table.problems)
    header, problem = _read_header(table, normal_column(label_column), words)
    if header is None or problem is not None:
        return ReadLabels(table.source, (), (*table.problems, *([problem] if problem else [])))
    rows: list[LabelLine] = []
    problems = list(table.problems)
    for line in table.rows:
        row = _read_row(line, header, words)
        if isinstance(row, LabelLine):
            rows.append(row)
        elif row is not None:
            problems.append(row)
    return gather_rows(table.source, rows, problems, "no label in any row", numbered=True)


@dataclass(frozen=True, slots=True)
class _Header:
    """Where the columns of each meaning stand, or the classes' own columns, and how many columns there are."""

    places: Mapping[str, tuple[int, ...]]
    classes: Mapping[int, tuple[str, Label]]
    columns: int
    has_scores: bool


def _read_header(
    table: CsvTable, label_column: str, words: Mapping[str, Label]
) -> tuple[_Header | None, LabelProblem | None]:
    """Where each column stands, or what is wrong with the header."""
    names = table.columns
    received = f"the columns {table.say_columns()}"
    accepted = _COLUMNS | {"label": _COLUMNS["label"] if label_column == "label" else (label_column,)}
    places = {
        meaning: tuple(names.index(alias) for alias in aliases if alias in names)
        for meaning, aliases in accepted.items()
    }
    for meaning, aliases in _ELSE.items():
        places[meaning] = places[meaning] or tuple(names.index(alias) for alias in aliases if alias in names)
    if any(names.count(names[place]) > 1 for known in places.values() for place in known):
        return None, LabelProblem(table.header.line, Code.REPEATED_COLUMN, received, "each column once")
    classes = {
        place: (word, words[word]) for place, name in enumerate(names) if (word := name.replace("_", " ")) in words
    }
    has_label = bool(places["label"]) or len(classes) > 1
    if not has_label or not (places["filename"] or places["xray_sha256"]):
        return None, LabelProblem(table.header.line, Code.MISSING_COLUMN, received, A_LABELS_CSV)
    return _Header(
        places, {} if places["label"] else classes, len(names), any(shown <= set(names) for shown in _SCORES)
    ), None


def _read_row(line: CsvRow, header: _Header, words: Mapping[str, Label]) -> LabelLine | LabelProblem | None:
    """The row, or what is wrong with it, or None where there is no label yet."""
    cells = line.cells + ("",) * (header.columns - len(line.cells))  # Excel leaves empty cells at a row's end out
    row = {meaning: [cells[place] for place in places] for meaning, places in header.places.items()}
    name = next((unguard_text(cell) for cell in row["filename"] if cell), "")
    try:
        if any(cell.strip() for cell in cells[header.columns :]):
            raise _BadCell(Code.TOO_MANY_CELLS, f"{len(cells)} cells", f"{header.columns}; put cells in quotes")
        said = _read_class(cells, header) if header.classes else _read_label(row["label"], words)
        if said is None:
            return None
        word, label = said
        _agree("file names", {_base_name(unguard_text(cell)) for cell in row["filename"] if cell.strip()})
        _agree("patients", {cell.strip() for cell in row["patient_id"] if cell.strip()})
        _agree("readers", {cell.strip() for cell in row["labelled_by"] if cell.strip()})
        _agree("times", {str(_read_time(cell)) for cell in row["labelled_at"] if cell.strip()})
        sha256 = _read_sha256("".join(row["xray_sha256"]))
        if "\0" in name or not (name or sha256):
            raise _BadCell(Code.NO_FILE, f"label {label.value!r} without a file", "a file name or an xray_sha256")
        reader = _read_reader(_first(row["labelled_by"]))
        time = _read_time(_first(row["labelled_at"]))
    except _BadCell as bad:
        return LabelProblem(line.line, bad.code, bad.received, bad.accepted, name or None)
    patient = _first(row["patient_id"]).strip() or None
    score_visible = True if header.has_scores else _VISIBLE.get(_first(row[SCORE_VISIBLE]).strip().lower())
    return LabelLine(line.line, name, sha256, label, reader, time, patient, score_visible, own_word(word, label))


def _first(cells: Sequence[str]) -> str:
    return next((cell for cell in cells if cell.strip()), "")


def _agree(what: str, values: set[str]) -> None:
    """Two columns of one meaning say one thing; neither wins over the other."""
    if len(values) > 1:
        raise _BadCell(Code.COLUMNS_DISAGREE, f"the {what} {', '.join(map(repr, sorted(values)))}", "one of them")


def _base_name(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2].strip()


def _read_label(cells: Sequence[str], words: Mapping[str, Label]) -> tuple[str, Label] | None:
    """The word of a row and its label; a second column counts as a label where it holds a label's word."""
    given = [unguard_text(cell) for cell in cells if cell.strip()]
    if not given:
        return None
    known = {words[word]: word for cell in given if (word := normal_text(cell)) in words}
    if cells[0].strip() and normal_text(given[0]) not in words:
        raise _BadCell(Code.UNKNOWN_LABEL, f"label {given[0].strip()!r}", name_words(words))
    _agree("labels", {label.value for label in known})
    return next(((word, label) for label, word in known.items()), None)


def _read_class(cells: Sequence[str], header: _Header) -> tuple[str, Label] | None:
    """The class whose own column says 1, yes, true or x, by its word."""
    marked = [
        said
        for place, said in header.classes.items()
        if (read_number(cells[place]) or 0) > 0 or normal_text(cells[place]) in _YES
    ]
    _agree("labels", {label.value for _, label in marked})
    return next(iter(marked), None)


def _read_sha256(cell: str) -> str | None:
    sha256 = cell.strip().lower()
    if sha256 and not _SHA256.fullmatch(sha256):
        raise _BadCell(Code.BAD_SHA256, f"xray_sha256 {sha256[:70]!r}", "64 hex digits, or none")
    return sha256 or None


def _read_reader(cell: str) -> str | None:
    reader = unguard_text(cell).strip()
    if len(reader) > _LONGEST_READER or not reader.isprintable():
        raise _BadCell(Code.BAD_READER, f"labelled_by {reader[:40]!r}", f"one line of at most {_LONGEST_READER}")
    return reader or None


def _read_time(cell: str) -> datetime | None:
    if not (text := cell.strip()):
        return None
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise _BadCell(Code.BAD_TIME, f"labelled_at {text[:40]!r}", "a time as 2026-05-01T09:30:00Z, or none") from None


class _BadCell(Exception):
    def __init__(self, code: Code, received: str, accepted: str) -> None:
        super().__init__(code, received, accepted)
        self.code, self.received, self.accepted = code, received, accepted
