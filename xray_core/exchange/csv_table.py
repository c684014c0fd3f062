"""A CSV as people's programs write it: its columns, its rows with their lines, and every place where it breaks."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xray_core.records import LabelProblem, escape_name
from xray_core.records import LabelProblemCode as Code

_LARGEST_CSV = 256 * 2**20
# After so many broken rows the file is something else; each may make the reader look through many lines.
_MOST_BROKEN_ROWS = 100
_DELIMITERS = (",", ";", "\t", "|")  # Excel writes semicolons where the comma is the decimal sign
_CURE = "UTF-8: in Excel, save as 'CSV UTF-8 (comma delimited)'"

_OTHER_FILES: Final = {
    b"PK\x03\x04": "an Excel workbook (.xlsx) or another zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls)",
    b"%PDF": "a PDF",
}


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row that is not blank; `line` is where it begins (a quoted cell may span lines), counted from 1."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CsvTable:
    """The header's cells as they stand there and in `normal_column`, the rows below, and what could not be read.

    Without any row that could be read `header` is empty and `problems` says why.
    """

    source: str
    header: CsvRow
    columns: tuple[str, ...]
    rows: tuple[CsvRow, ...]
    problems: tuple[LabelProblem, ...]

    def say_columns(self) -> str:
        """The names in the header, for a person: not all of many, and of a long one its beginning."""
        shown = [cell if len(cell) <= _LONGEST_SHOWN else f"{cell[:_LONGEST_SHOWN]}..." for cell in self.header.cells]
        more = [f"{len(shown) - _MOST_SHOWN} more"] if len(shown) > _MOST_SHOWN else []
        return ", ".join([*map(repr, shown[:_MOST_SHOWN]), *more]) or "none"


_MOST_SHOWN, _LONGEST_SHOWN = 12, 40
_NO_ROW = CsvRow(1, ())


def read_csv_table(path: Path, *, known: Collection[str]) -> CsvTable:
    """Read a CSV of at most 256 MiB, whatever program wrote it; never raises for its content. Raises OSError.

    Comma, semicolon, tab or bar between cells, or what a first line `sep=` says; lines that end in LF, CRLF or CR;
    UTF-8 with and without byte order mark, UTF-16 as Excel's "Unicode text". A row in another encoding or with a
    broken quote is a problem of its own, and reading goes on below it. `known` are column names, in
    `normal_column`, that tell the delimiter.
    """
    source = escape_name(os.fsencode(path.name))
    if (size := path.stat().st_size) > _LARGEST_CSV:
        received, accepted = f"{size} bytes", f"at most {_LARGEST_CSV >> 20} MiB"
        return _refuse(source, LabelProblem(None, Code.TOO_LARGE, received, accepted))
    if not path.is_file():  # a device has no end
        return _refuse(source, LabelProblem(None, Code.NOT_A_CSV, "a pipe, device or folder", f"CSV in {_CURE}"))
    content = path.read_bytes()
    for start, what in _OTHER_FILES.items():
        if content.startswith(start):
            return _refuse(source, LabelProblem(None, Code.NOT_A_CSV, what, f"CSV in {_CURE}"))
    text = _decode(content)
    if not text.strip("\ufeff\0 \t\r\n"):
        return _refuse(source, LabelProblem(None, Code.NO_LABELS, "an empty file", "a CSV with a line of column names"))
    rows, problems = _split_rows(list(io.StringIO(text, newline="")), known)
    foreign = {row.line: problem for row in rows if (problem := _find_other_encoding(row))}
    problems = sorted([*problems, *foreign.values()], key=lambda problem: problem.line or 0)
    if not rows:
        return CsvTable(source, _NO_ROW, (), (), tuple(problems))
    header, *below = rows
    kept = tuple(row for row in below if row.line not in foreign)
    return CsvTable(source, header, tuple(map(normal_column, header.cells)), kept, tuple(problems))


def normal_text(text: str) -> str:
    """Words as they are compared: in lower case, one space between them."""
    return " ".join(text.split()).casefold()


def normal_column(cell: str) -> str:
    """A column's name as it is compared: `Patient ID`, `patient-id` and `patient_id` are one."""
    return normal_text(cell.replace("_", " ").replace("-", " ")).replace(" ", "_")


def read_number(cell: str) -> float | None:
    """A number with a decimal point or a decimal comma; None for anything else. Raises nothing."""
    try:
        return float(cell.strip().replace(",", ".") if "." not in cell else cell.strip())
    except ValueError:
        return None


def _refuse(source: str, problem: LabelProblem) -> CsvTable:
    return CsvTable(source, _NO_ROW, (), (), (problem,))


def _decode(content: bytes) -> str:
    """The text; bytes that are no UTF-8 come as lone surrogates, which name their row later."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    sample = content[:4096]
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        # Half of Latin text is zero bytes in UTF-16, at one side of each pair; in UTF-8 there is none.
        if len(sample) >= 8 and sample[offset::2].count(0) > 0.4 * len(sample[offset::2]) and sample[1 - offset] != 0:
            return content.decode(encoding, errors="replace")
    return content.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="surrogateescape")


def _find_other_encoding(row: CsvRow) -> LabelProblem | None:
    """The first byte of a row that is no UTF-8, with what it would be in Windows' own encoding."""
    for column, character in enumerate(",".join(row.cells), start=1):
        if "\udc80" <= character <= "\udcff":
            byte = bytes([ord(character) - 0xDC00])
            meant = byte.decode("cp1252", errors="replace")
            guess = "" if meant == "\ufffd" else f" (in Windows-1252 it would be {meant!r})"
            received = f"the byte 0x{byte[0]:02X} in column {column}, which is not UTF-8{guess}"
            return LabelProblem(row.line, Code.NOT_UTF8, received, _CURE)
    return None


def _split_rows(lines: Sequence[str], known: Collection[str]) -> tuple[list[CsvRow], list[LabelProblem]]:
    """The rows that are not blank, and the rows that are no CSV; after each of those reading starts anew below it."""
    told = re.fullmatch(r"\"?sep=(.)\"?\s*", lines[0], re.IGNORECASE)  # Excel's own way to say so
    header = next((line for line in lines if line.strip(",;|\t \r\n")), "")
    delimiter = told[1] if told else _guess_delimiter(header, known)
    rows: list[CsvRow] = []
    problems: list[LabelProblem] = []
    start = 1 if told else 0
    while start < len(lines) and len(problems) < _MOST_BROKEN_ROWS:
        begins = start
        try:
            for begins, cells in _iter_rows(lines, start, delimiter):
                if any(cell.strip() for cell in cells):
                    rows.append(CsvRow(begins + 1, tuple(cells)))
            break
        except _BrokenRow as broken:
            begins = broken.line
            received = f"a row that cannot be read as CSV ({broken.reason})"
            problems.append(LabelProblem(begins + 1, Code.MALFORMED_CSV, received, _WHOLE_QUOTES))
            start = begins + 1
    return rows, problems


_WHOLE_QUOTES = "cells in quotes only whole, quotes doubled"


class _BrokenRow(Exception):
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(line, reason)
        self.line, self.reason = line, reason


def _iter_rows(lines: Sequence[str], start: int, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with the place of their first line; raises _BrokenRow with the place where the broken one begins."""
    reader = csv.reader(iter(lines[start:]), delimiter=delimiter, strict=True)
    begins = start
    try:
        for cells in reader:
            yield begins, cells
            begins = start + reader.line_num
    except csv.Error as error:
        raise _BrokenRow(begins, str(error)) from error


def _guess_delimiter(header: str, known: Collection[str]) -> str:
    """The one that cuts the header into most known columns, then the one that stands there most often."""

    def count(delimiter: str) -> tuple[int, int]:
        cells = [normal_column(cell.strip().strip('"')) for cell in header.split(delimiter)]
        return sum(cell in known for cell in cells), header.count(delimiter)

    return max(_DELIMITERS, key=count)
