"""Labels as reviewers send them back: a CSV or a folder per class, all rows or none."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from xray_core.errors import InvalidLabelsCsv, RefusedInput
from xray_core.formula_guard import unguard_text
from xray_core.intake import is_ignored
from xray_core.records import Label, LabelRow

_LARGEST_CSV = 256 * 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME_COLUMNS = ("filename", "file")


def read_labels_csv(path: Path, *, mapping: Mapping[str, str]) -> list[LabelRow]:
    """Read `filename,label[,labelled_by,labelled_at]` or a results CSV whose `label` column was filled in.

    Rows without a label are passed over: nobody has looked at them yet. `mapping` turns a reader's word (any
    case) into a label's. Commas, semicolons or tabs, with or without a byte order mark. Raises InvalidLabelsCsv
    listing every bad row with its line, what was received and what is accepted.
    """
    words = read_mapping(mapping)
    text = _read_text(path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_find_delimiter(text), strict=True)
    rows: list[LabelRow] = []
    problems: list[str] = []
    try:
        columns = _read_header(path, next(reader, []))
        for line, cells in _number_rows(reader):
            row = _read_row(line, dict(zip(columns, cells, strict=False)), words)
            if isinstance(row, LabelRow):
                rows.append(row)
            elif row is not None:
                problems.append(row)
    except csv.Error as error:
        problems.append(f"line {reader.line_num}: not readable as CSV ({error})")
    if problems:
        raise InvalidLabelsCsv(path.name, tuple(problems))
    if not rows:
        raise InvalidLabelsCsv(path.name, ("no row has a label: fill in the label column",))
    return rows


def read_labels_folder(path: Path, *, mapping: Mapping[str, str]) -> list[LabelRow]:
    """Read a folder per class (`covid/`, `normal/`): each file is a label for the X-ray with its very content.

    Raises InvalidLabelsCsv when a folder's name is no label, or when there is no file.
    """
    words = read_mapping(mapping)
    rows: list[LabelRow] = []
    problems: list[str] = []
    for folder in sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith(".")):
        label = words.get(_normal(folder.name))
        if label is None:
            problems.append(f"folder {folder.name}/: no label; {_accepted(words)}")
            continue
        rows += [_describe_file(file, label) for file in _find_deliveries(folder)]
    if problems or not rows:
        raise InvalidLabelsCsv(path.name, tuple(problems) or ("no X-rays in it; expected a folder per class",))
    return rows


def read_mapping(mapping: Mapping[str, str]) -> dict[str, Label]:
    """Every accepted word, in lower case, with its label. Raises RefusedInput for a target that is no label."""
    words = {label.value: label for label in Label}
    for word, target in mapping.items():
        if _normal(target) not in set(Label):
            raise RefusedInput(f"map {word}={target}: received {target!r}; expected one of {', '.join(Label)}")
        words[_normal(word)] = Label(_normal(target))
    return words


def _read_text(path: Path) -> str:
    if path.stat().st_size > _LARGEST_CSV:
        raise InvalidLabelsCsv(path.name, (f"larger than {_LARGEST_CSV >> 20} MiB; expected a labels CSV",))
    content = path.read_bytes()
    if content.startswith(b"PK\x03\x04"):
        raise InvalidLabelsCsv(path.name, ("an Excel workbook or zip archive; save it as CSV UTF-8",))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InvalidLabelsCsv(path.name, (f"line {line}: not UTF-8; save the file as CSV UTF-8",)) from error


def _find_delimiter(text: str) -> str:
    """Excel writes semicolons where the comma is the decimal sign."""
    header = text.partition("\n")[0]
    return max((",", ";", "\t"), key=header.count)


def _read_header(path: Path, cells: list[str]) -> list[str]:
    columns = [_normal(cell) for cell in cells]
    if "label" not in columns or not any(name in columns for name in (*_NAME_COLUMNS, "xray_sha256")):
        received = ", ".join(cells[:12]) or "nothing"
        raise InvalidLabelsCsv(
            path.name, (f"line 1: received the columns {received}; expected filename,label or a results CSV",)
        )
    if len(set(columns)) < len(columns):
        raise InvalidLabelsCsv(path.name, ("line 1: a column stands there twice",))
    return columns


def _number_rows(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line they begin on (a quoted cell may span lines); blank lines are passed over."""
    before = reader.line_num  # type: ignore[attr-defined]  # csv.reader has it, its type does not say so
    for cells in reader:
        line, before = before + 1, reader.line_num  # type: ignore[attr-defined]
        if any(cell.strip() for cell in cells):
            yield line, cells


def _read_row(line: int, cells: Mapping[str, str], words: Mapping[str, Label]) -> LabelRow | str | None:
    """The row, or what is wrong with it as a sentence, or None where there is no label yet."""
    word = cells.get("label", "").strip()
    if not word:
        return None
    name = unguard_text(next((cells[column] for column in _NAME_COLUMNS if cells.get(column)), ""))
    sha256 = cells.get("xray_sha256", "").strip().lower() or None
    where = f"line {line}" + (f" ({name})" if name else "")
    label = words.get(_normal(word))
    if label is None:
        return f"{where}: received label {word!r}; {_accepted(words)}"
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        return f"{where}: received xray_sha256 {sha256[:20]!r}; expected 64 hex digits, or none"
    if not name and sha256 is None:
        return f"{where}: received neither a file name nor an xray_sha256; expected one of them"
    try:
        labelled_at = _read_time(cells.get("labelled_at", "").strip())
    except ValueError:
        return f"{where}: received labelled_at {cells['labelled_at']!r}; expected a time such as 2026-05-01T09:30:00Z"
    reader = unguard_text(cells.get("labelled_by", "").strip()) or None
    return LabelRow(line, name, sha256, label, reader, labelled_at)


def _read_time(text: str) -> datetime | None:
    """A time without a zone is meant as UTC."""
    if not text:
        return None
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _find_deliveries(folder: Path) -> list[Path]:
    files = sorted(child for child in folder.iterdir() if child.is_file() and not child.is_symlink())
    return [file for file in files if not is_ignored(os.fsencode(file.name))]


def _describe_file(file: Path, label: Label) -> LabelRow:
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return LabelRow(0, file.name, sha256, label, None, None)


def _accepted(words: Mapping[str, Label]) -> str:
    return f"accepted are {', '.join(sorted(words))}, or map it: --map WORD=normal"


def _normal(word: str) -> str:
    return " ".join(word.split()).casefold()
