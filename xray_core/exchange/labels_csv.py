"""Labels as reviewers send them back: a CSV or a folder per class, all rows or none."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from xray_core.errors import InvalidLabelsCsv, RefusedInput
from xray_core.exchange.formula_guard import unguard_text
from xray_core.exchange.records import LabelLine
from xray_core.records import Label, LabelProblem, escape_name
from xray_core.records import LabelProblemCode as Code

_LARGEST_CSV = 256 * 2**20


_LONGEST_READER = 200


_SHA256 = re.compile(r"[0-9a-f]{64}")


_NAME_COLUMNS = ("filename", "file")


_DELIMITERS = (",", ";", "\t")  # Excel writes semicolons where the comma is the decimal sign


_A_LABELS_CSV = "a CSV with the columns filename,label, or a results CSV with its label column filled in"


_A_FOLDER = "a folder named after each label (covid, normal) with X-rays in it"


_OTHER_FILES: Final = {
    b"PK\x03\x04": "an Excel workbook (.xlsx) or another zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls)",
    b"\xff\xfe": "text in UTF-16, which Excel calls Unicode text",
    b"\xfe\xff": "text in UTF-16, which Excel calls Unicode text",
    b"%PDF": "a PDF",
}


def read_labels_csv(path: Path, *, mapping: Mapping[str, str], label_column: str = "label") -> list[LabelLine]:
    """Read `filename,label[,labelled_by,labelled_at]` or a results CSV whose label column was filled in.

    Any order of columns and more of them; comma, semicolon or tab; with or without a byte order mark; label words in
    any case and spacing. Rows without a label are passed over: nobody has looked at them yet. The same row
    twice counts once. `mapping` turns a reader's word into a label's, as `pneumonia` into `normal`. A time without a
    zone is meant as UTC. Raises InvalidLabelsCsv with every problem: its line, what was received, what is expected;
    RefusedInput for a mapping that cannot be meant; OSError.
    """
    words = read_mapping(mapping)
    lines, problems = _split_rows(_read_text(path))
    header = _read_header(path.name, lines, normal(label_column))
    rows: list[LabelLine] = []
    for line, cells in lines[1:]:
        row = _read_row(line, cells, header, words)
        if isinstance(row, LabelLine):
            rows.append(row)
        elif row is not None:
            problems.append(row)
    return accept_all(path.name, rows, problems, "no label in any row", numbered=True)


def read_mapping(mapping: Mapping[str, str]) -> dict[str, Label]:
    """Every accepted word, in lower case, with its label.

    Raises RefusedInput for a target that is no label, and for a label's own word that would mean another one.
    """
    words = {label.value: label for label in Label}
    for word, target in mapping.items():
        label, own = words.get(normal(target)), normal(word)
        if label is None or label.value != normal(target):
            raise RefusedInput(f"map {word}={target}: received {target!r}; expected one of {', '.join(Label)}")
        if not own or (own in set(Label) and own != label.value):
            raise RefusedInput(f"map {word}={target}: received the word {word!r}; expected one that is no label itself")
        words[own] = label
    return words


def _read_text(path: Path) -> str:
    if (size := path.stat().st_size) > _LARGEST_CSV:
        received, accepted = f"{size} bytes", f"at most {_LARGEST_CSV >> 20} MiB"
        raise InvalidLabelsCsv(path.name, [LabelProblem(None, Code.TOO_LARGE, received, accepted)])
    content = path.read_bytes()
    for start, what in _OTHER_FILES.items():
        if content.startswith(start):
            problem = LabelProblem(None, Code.NOT_A_CSV, what, "CSV: in Excel, save as 'CSV UTF-8 (comma delimited)'")
            raise InvalidLabelsCsv(path.name, [problem])
    if not content.removeprefix(codecs.BOM_UTF8).strip():
        raise InvalidLabelsCsv(path.name, [LabelProblem(None, Code.NO_LABELS, "an empty file", _A_LABELS_CSV)])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidLabelsCsv(path.name, list(_find_other_encoding(content))) from None


def _find_other_encoding(content: bytes) -> Iterator[LabelProblem]:
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            received = f"the byte 0x{line[error.start]:02X} in column {error.start + 1}, which is not UTF-8"
            yield LabelProblem(number, Code.NOT_UTF8, received, "UTF-8: in Excel, save as 'CSV UTF-8'")


def _split_rows(text: str) -> tuple[list[tuple[int, list[str]]], list[LabelProblem]]:
    """Rows that are not blank with the line they begin on (a quoted cell may span lines), and where the CSV breaks."""
    first = text.partition("\n")[0]
    told = re.fullmatch(r"sep=(.)\r?", first, re.IGNORECASE)  # Excel's own way to say so
    delimiter = told[1] if told else max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells) and not (told and line == 1):
                rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        received = f"a row that cannot be read as CSV ({error})"
        return rows, [LabelProblem(line, Code.MALFORMED_CSV, received, "cells in quotes only whole, quotes doubled")]
    return rows, []


def _read_header(source: str, lines: Sequence[tuple[int, list[str]]], label_column: str) -> _Header:
    """Where each column stands; the label column is called `label` from here on."""
    line, cells = lines[0] if lines else (1, [])
    names = [normal(cell) for cell in cells]
    received = f"the columns {', '.join(map(repr, cells[:12])) or 'none'}"
    if label_column not in names or not any(name in names for name in (*_NAME_COLUMNS, "xray_sha256")):
        raise InvalidLabelsCsv(source, [LabelProblem(line, Code.MISSING_COLUMN, received, _A_LABELS_CSV)])
    known = (label_column, *_NAME_COLUMNS, "xray_sha256", "labelled_by", "labelled_at")
    if any(names.count(name) > 1 for name in known):
        raise InvalidLabelsCsv(source, [LabelProblem(line, Code.REPEATED_COLUMN, received, "each column once")])
    columns = {name: names.index(name) for name in known if name in names}
    columns["label"] = columns[label_column]
    return _Header(columns, len(names))


def _read_row(
    line: int, cells: Sequence[str], header: _Header, words: Mapping[str, Label]
) -> LabelLine | LabelProblem | None:
    """The row, or what is wrong with it, or None where there is no label yet."""
    # Excel leaves empty cells at the end of a row out.
    row = {name: cells[place] if place < len(cells) else "" for name, place in header.places.items()}
    name = unguard_text(next((row[column] for column in _NAME_COLUMNS if row.get(column)), ""))
    try:
        if any(cell.strip() for cell in cells[header.columns :]):
            raise _BadCell(Code.TOO_MANY_CELLS, f"{len(cells)} cells", f"{header.columns}; put cells in quotes")
        if not row["label"].strip():
            return None
        label = _read_label(row["label"], words)
        sha256 = _read_sha256(row.get("xray_sha256", ""))
        if "\0" in name or not (name or sha256):
            raise _BadCell(Code.NO_FILE, f"label {row['label']!r} without a file", "a file name or an xray_sha256")
        reader, time = _read_reader(row.get("labelled_by", "")), _read_time(row.get("labelled_at", ""))
    except _BadCell as bad:
        return LabelProblem(line, bad.code, f"{bad.received} for {name!r}" if name else bad.received, bad.accepted)
    return LabelLine(line, name, sha256, label, reader, time)


def _read_label(cell: str, words: Mapping[str, Label]) -> Label:
    label = words.get(normal(unguard_text(cell)))
    if label is None:
        raise _BadCell(Code.UNKNOWN_LABEL, f"label {cell.strip()!r}", name_words(words))
    return label


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


@dataclass(frozen=True, slots=True)
class _Header:
    """Where the known columns stand, and how many columns there are."""

    places: Mapping[str, int]
    columns: int


class _BadCell(Exception):
    def __init__(self, code: Code, received: str, accepted: str) -> None:
        super().__init__(code, received, accepted)
        self.code, self.received, self.accepted = code, received, accepted


def accept_all(
    source: str, rows: Iterable[LabelLine], problems: Sequence[LabelProblem], nothing: str, *, numbered: bool
) -> list[LabelLine]:
    """The rows, each once; raises InvalidLabelsCsv where there is any problem, or no row at all."""
    said: dict[tuple[str, str | None], LabelLine] = {}
    kept: dict[tuple[object, ...], LabelLine] = {}
    found: list[LabelProblem] = list(problems)
    for row in rows:
        first = said.setdefault((row.xray_sha256 or row.filename, row.labelled_by), row)
        if first.label is not row.label:
            earlier = f"{first.label} for {first.filename!r}" + (f" in line {first.line}" if numbered else "")
            received = f"{row.label} for {row.filename!r}, but {earlier}"
            line = row.line if numbered else None
            found.append(LabelProblem(line, Code.CONTRADICTION, received, "one label of one reader for one X-ray"))
        kept.setdefault((row.filename, row.xray_sha256, row.label, row.labelled_by, row.labelled_at), row)
    if not kept and not found:
        found.append(LabelProblem(None, Code.NO_LABELS, nothing, _A_LABELS_CSV if numbered else _A_FOLDER))
    if found:
        found.sort(key=lambda problem: problem.line or 0)
        raise InvalidLabelsCsv(source, found)
    return list(kept.values())


def name_words(words: Mapping[str, Label]) -> str:
    return f"{', '.join(sorted(words))}; or say what it means: --map WORD=normal"


def quote(path: Path) -> str:
    return repr(escape_name(os.fsencode(path.name)))


def normal(word: str) -> str:
    return " ".join(word.split()).casefold()
