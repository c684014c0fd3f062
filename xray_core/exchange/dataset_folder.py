"""A dataset on disk: a folder per class, or ieee8023's metadata.csv, with whose each X-ray is where that is known."""

from __future__ import annotations

import csv
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from xray_core.errors import InvalidDataset
from xray_core.records import Label, age_group

_NOT_XRAYS = {".csv", ".txt", ".md", ".json", ".xlsx", ".html", ".pdf", ".db", ".ini", ".zip", ".gz"}
_UNKNOWN = {"", "nan", "none", "null", "na", "n/a", "unknown", "not stated"}
_METADATA = "metadata.csv"
_METADATA_COLUMNS = ("patientid", "finding", "view", "filename")


@dataclass(frozen=True, slots=True)
class DatasetItem:
    """One X-ray file of a dataset; what is None nobody has written down. `patient` is the id as the CSV has it."""

    path: Path
    label: Label
    patient: str | None
    source: str | None = None
    view: str | None = None
    sex: str | None = None
    age_group: str | None = None


@dataclass(frozen=True, slots=True)
class DatasetFolder:
    """The X-rays of a dataset in order of path, and how many files were kept out for which reason.

    `root` is the absolute folder that all of them lie below.
    """

    root: Path
    items: tuple[DatasetItem, ...]
    kept_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Patients:
    by_name: Mapping[str, DatasetItem]
    contradictory: frozenset[str]


def read_dataset_folder(
    path: Path, class_names: Mapping[str, Label], patients_csv: Path | None = None, *, both_classes: bool = True
) -> DatasetFolder:
    """Find the labelled X-rays of a dataset without opening one.

    With a `metadata.csv` in `path` (ieee8023's layout) the X-ray rows of it are read. Else every folder in `path`
    that `class_names` knows (any case) gives its files that label, sub-folders included; `patients_csv` has the columns
    `filename, patient_id` (a file name, or `folder/name` where names repeat) and may have `source`, `view`, `sex`
    and `age`; others are ignored. Raises InvalidDataset with what is wrong: no such folder, no known class, a
    class without X-rays (unless `both_classes` is off), a CSV without its columns or that contradicts itself.
    """
    path = path.absolute()
    if not path.is_dir():
        raise InvalidDataset(f"{path}: not a folder; expected one folder per class ({_name_classes(class_names)})")
    if (path / _METADATA).is_file() and patients_csv is None:
        dataset = _read_metadata(path)
    else:
        patients = _read_patients(patients_csv) if patients_csv else _Patients({}, frozenset())
        dataset = _read_class_folders(path, class_names, patients)
    found = Counter(item.label for item in dataset.items)
    missing = [label.value for label in (Label.COVID, Label.NORMAL) if not found[label]]
    if not found or (both_classes and missing):
        raise InvalidDataset(f"{path}: found no X-ray of class {' or '.join(missing)}; training needs both classes")
    return replace(dataset, items=tuple(sorted(dataset.items, key=lambda item: str(item.path))))


def _read_class_folders(path: Path, class_names: Mapping[str, Label], patients: _Patients) -> DatasetFolder:
    labels = {name.casefold(): label for name, label in class_names.items()}
    kept_out: Counter[str] = Counter()
    items: list[DatasetItem] = []
    folders = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    for folder in folders:
        label = labels.get(folder.name.casefold())
        for file in _find_files(folder, kept_out):
            if label is None:
                kept_out[f"folder {folder.name!r} is no class"] += 1
            else:
                items.append(_describe(file, folder.name, label, patients))
    if not any(folder.name.casefold() in labels for folder in folders):
        names = ", ".join(repr(folder.name) for folder in folders) or "no folder at all"
        raise InvalidDataset(f"{path}: received {names}; expected one folder per class ({_name_classes(class_names)})")
    return DatasetFolder(path, tuple(items), dict(kept_out))


def _find_files(folder: Path, kept_out: Counter[str]) -> Iterator[Path]:
    """Regular files in the order of their paths; the format is found by content, so an ending only rules out."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in (Path(place) / name for name in sorted(names) if not name.startswith(".")):
            if file.is_symlink() or not file.is_file():
                kept_out["a link or no regular file"] += 1
            elif file.suffix.casefold() in _NOT_XRAYS:
                kept_out["not an X-ray by its ending"] += 1
            else:
                yield file


def _describe(file: Path, folder: str, label: Label, patients: _Patients) -> DatasetItem:
    known = patients.by_name.get(f"{folder}/{file.name}")
    if known is None and file.name in patients.contradictory:
        raise InvalidDataset(
            f"patients CSV: {file.name} stands there for two patients; write folder/name, as {folder}/{file.name}"
        )
    known = known or patients.by_name.get(file.name)
    return replace(known, path=file, label=label) if known else DatasetItem(file, label, None)


def _read_patients(path: Path) -> _Patients:
    """What the patients CSV says, by file name; the path and label of its items are filled in later."""
    patients: dict[str, DatasetItem] = {}
    contradictory: set[str] = set()
    for line, row in _read_rows(path, ("filename", "patient_id")):
        name, patient = row["filename"].strip().replace("\\", "/"), row["patient_id"].strip()
        if not name:
            raise InvalidDataset(f"{path.name}, line {line}: the file name is empty")
        item = _item_of(row, Path(), Label.EXCLUDE, patient or None, row.get("source"))
        if patients.setdefault(name, item).patient != item.patient:
            contradictory.add(name)
    if not patients:
        raise InvalidDataset(f"{path.name}: no row; expected filename and patient_id for every X-ray")
    return _Patients(patients, frozenset(contradictory))


def _read_metadata(path: Path) -> DatasetFolder:
    kept_out: Counter[str] = Counter()
    items: dict[Path, DatasetItem] = {}
    for line, row in _read_rows(path / _METADATA, _METADATA_COLUMNS):
        reason, label = _read_row(row)
        file = _locate(path, row) if label else None
        if label is None or file is None:
            kept_out[reason or "the file is not there"] += 1
            continue
        item = _item_of(row, file, label, row["patientid"].strip() or None, urlsplit(row.get("url", "")).hostname)
        if items.setdefault(file, item).label is not label:
            raise InvalidDataset(f"{_METADATA}, line {line}: {file.name} is there before as {items[file].label.value}")
    return DatasetFolder(path, tuple(items.values()), dict(kept_out))


def _read_row(row: Mapping[str, str]) -> tuple[str, Label | None]:
    """Why a metadata row is kept out, or its label."""
    modality, view, finding = row.get("modality", "X-ray"), row["view"], row["finding"].casefold()
    if modality.casefold() not in ("x-ray", "xray", "") or view.startswith(("Axial", "Coronal")):
        return "not an X-ray", None
    if "covid-19" in finding:
        return "", Label.COVID
    if finding.strip() in ("no finding", "normal"):
        return "", Label.NORMAL
    return f"finding {row['finding'].strip()!r} is no class", None


def _locate(path: Path, row: Mapping[str, str]) -> Path | None:
    """The file of a metadata row: inside the dataset and nowhere else, whatever the CSV says."""
    name = Path(row["filename"].strip()).name
    for folder in (row.get("folder", "").strip() or "images", "images", ""):
        file = path / folder / name
        if name and ".." not in Path(folder).parts and file.is_file() and not file.is_symlink():
            return file if file.is_relative_to(path) else None
    return None


def _item_of(row: Mapping[str, str], path: Path, label: Label, patient: str | None, source: str | None) -> DatasetItem:
    return DatasetItem(
        path=path,
        label=label,
        patient=patient,
        source=_known(source),
        view=_known(row.get("view")),
        sex=_known(row.get("sex")),
        age_group=_band(row.get("age")),
    )


def _read_rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a CSV with the line they end on; raises InvalidDataset when it is no CSV with these columns."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", restkey="", strict=True)
            header = [name.strip().casefold() for name in reader.fieldnames or ()]
            lacking = [column for column in columns if column not in header]
            if lacking:
                raise InvalidDataset(f"{path.name}: received the columns {header}; expected also {lacking}")
            reader.fieldnames = header
            for row in reader:
                row.pop("", None)
                yield reader.line_num, row
    except FileNotFoundError as error:
        raise InvalidDataset(f"{path}: there is no such file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidDataset(f"{path.name}: not a CSV in UTF-8 ({error})") from error


def _known(text: str | None) -> str | None:
    written = (text or "").strip()
    return None if written.casefold() in _UNKNOWN else written


def _band(text: str | None) -> str | None:
    try:
        years = float((text or "").strip())
    except ValueError:
        return None
    return age_group(years) if math.isfinite(years) and years >= 0 else None


def _name_classes(class_names: Mapping[str, Label]) -> str:
    return ", ".join(f"{name}/ for {label.value}" for name, label in class_names.items())
