"""A dataset's listing as ieee8023/covid-chestxray-dataset writes it: metadata.csv beside the pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from xray_core.errors import InvalidDataset
from xray_core.exchange.csv_table import normal_text, read_csv_table
from xray_core.exchange.file_names import match_names
from xray_core.exchange.label_rows import own_word
from xray_core.exchange.patients_csv import list_problems, read_age, read_word
from xray_core.exchange.records import DatasetItem
from xray_core.imaging.patient_ids import is_placeholder
from xray_core.records import Label

METADATA: Final = "metadata.csv"
_NEEDED = ("patientid", "finding", "view", "filename")
_KNOWN = frozenset((*_NEEDED, "modality", "folder", "url", "sex", "age"))


def read_metadata(path: Path, class_names: Mapping[str, Label]) -> tuple[list[DatasetItem], dict[str, int]]:
    """The X-ray rows of a folder's metadata.csv, and how many rows were kept out for which reason.

    Findings of covid and of nothing are known; `class_names` may say what others mean. Names are found in any Unicode
    form, case or without ending where that is unique. Raises InvalidDataset for bad rows, all named, and for a file of
    both classes.
    """
    words = {normal_text(word): label for word, label in class_names.items()}
    kept_out: Counter[str] = Counter()
    items: dict[Path, DatasetItem] = {}
    listed: dict[Path, dict[str, Path]] = {}
    for line, row in _read_rows(path / METADATA):
        reason, label = _read_class(row, words)
        file = _locate(path, row, listed) if label else None
        if label is None or file is None:
            kept_out[reason or "the file is not there"] += 1
            continue
        item = _describe(row, file, label)
        if items.setdefault(file, item).label is not label:
            raise InvalidDataset(f"{METADATA}, line {line}: {file.name} is there before as {items[file].label.value}")
    return list(items.values()), dict(kept_out)


def _read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    table = read_csv_table(path, known=_KNOWN)
    lacking = [column for column in _NEEDED if table.columns.count(column) != 1]
    problems = [str(problem) for problem in table.problems]
    if lacking:
        problems.append(f"received the columns {table.say_columns()}; expected also {', '.join(lacking)}, each once")
    if problems:
        raise InvalidDataset(f"{path.name}: refused:\n{list_problems(problems)}")
    width = len(table.columns)
    return [
        (row.line, dict(zip(table.columns, row.cells + ("",) * (width - len(row.cells)), strict=False)))
        for row in table.rows
    ]


def _read_class(row: Mapping[str, str], words: Mapping[str, Label]) -> tuple[str, Label | None]:
    """Why a metadata row is kept out, or its label."""
    modality, view, finding = row.get("modality", "X-ray"), row["view"], row["finding"].casefold()
    if modality.casefold() not in ("x-ray", "xray", "") or view.startswith(("Axial", "Coronal")):
        return "not an X-ray", None
    if (label := _know(finding) or words.get(normal_text(finding))) is not None:
        return "", label
    return f"finding {row['finding'].strip()!r} is no class", None


def _know(finding: str) -> Label | None:
    """What a finding in this layout's own words is."""
    if "covid-19" in finding.casefold():
        return Label.COVID
    return Label.NORMAL if normal_text(finding) in ("no finding", "normal") else None


def _locate(path: Path, row: Mapping[str, str], listed: dict[Path, dict[str, Path]]) -> Path | None:
    """The file of a metadata row: inside the dataset and nowhere else, whatever the CSV says."""
    name = row["filename"].strip().replace("\\", "/").rpartition("/")[2]
    for folder in (row.get("folder", "").strip() or "images", "images", ""):
        if not name or ".." in Path(folder).parts or not (path / folder).is_relative_to(path):
            continue
        there = _list_files(path / folder, listed)
        likely = {name} if name in there else match_names([name], there)[name]
        if len(likely) == 1:
            return there[min(likely)]
    return None


def _list_files(folder: Path, listed: dict[Path, dict[str, Path]]) -> dict[str, Path]:
    if folder not in listed:
        files = folder.iterdir() if folder.is_dir() else ()
        listed[folder] = {file.name: file for file in files if file.is_file() and not file.is_symlink()}
    return listed[folder]


def _describe(row: Mapping[str, str], file: Path, label: Label) -> DatasetItem:
    patient = row["patientid"].strip()
    return DatasetItem(
        path=file,
        label=label,
        patient=None if is_placeholder(patient) else patient,
        source=read_word(urlsplit(row.get("url", "")).hostname),
        view=read_word(row["view"]),
        sex=read_word(row.get("sex")),
        age_group=read_age(row.get("age")),
        word=None if _know(row["finding"]) else own_word(normal_text(row["finding"]), label),
    )
