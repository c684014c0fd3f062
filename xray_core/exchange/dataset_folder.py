"""A dataset on disk: a folder per class, or ieee8023's metadata.csv, with whose each X-ray is where that is known."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from xray_core.errors import InvalidDataset, UnreadableXray
from xray_core.exchange.class_folders import UNREAD_SIDECARS, count_files, find_class_files, holds_pictures
from xray_core.exchange.csv_table import normal_text
from xray_core.exchange.dataset_metadata import METADATA, read_metadata
from xray_core.exchange.dataset_patients import PatientsFit, match_patients
from xray_core.exchange.label_rows import own_word
from xray_core.exchange.patient_sidecar import read_sidecar
from xray_core.exchange.patients_csv import PatientLine, read_patients_csv
from xray_core.exchange.records import DatasetItem
from xray_core.imaging.patient_ids import is_placeholder
from xray_core.records import Label, PatientSource


@dataclass(frozen=True, slots=True)
class DatasetFolder:
    """The X-rays of a dataset in order of path, and how many files were kept out for which reason.

    `root` is the absolute folder that all of them lie below; `fit` is how its patients CSV fits, where one was given.
    """

    root: Path
    items: tuple[DatasetItem, ...]
    kept_out: Mapping[str, int]
    fit: PatientsFit | None = None


def read_dataset_folder(
    path: Path,
    class_names: Mapping[str, Label],
    patients_csv: Path | None = None,
    *,
    both_classes: bool = True,
    patient_from: PatientSource | None = None,
) -> DatasetFolder:
    """Find the labelled X-rays of a dataset without opening one.

    With a `metadata.csv` in `path` (ieee8023's layout) the X-ray rows of it are read; a finding of theirs may be one of
    `class_names` too. Else every folder in `path`
    that `class_names` knows (any case) gives its files that label, sub-folders included but for masks and their like
    (`find_class_files`); other folders are counted and never read. `patients_csv` is read by `read_patients_csv` and
    joined by `match_patients`; where it says nothing, `patient_from` counts. Raises InvalidDataset with what is wrong:
    no such folder, no known class, a class without X-rays (unless `both_classes` is off), a CSV that cannot be read,
    contradicts itself or fits few files.
    """
    path = path.absolute()
    if not path.is_dir():
        raise InvalidDataset(f"{path}: not a folder; expected one folder per class ({_name_classes(class_names)})")
    if patients_csv is not None and not patients_csv.is_file():
        raise InvalidDataset(f"{patients_csv}: there is no such file; expected a CSV with filename and patient_id")
    if (path / METADATA).is_file() and patients_csv is None:
        items, kept_out = read_metadata(path, class_names)
        dataset = DatasetFolder(path, tuple(items), kept_out)
    else:
        dataset = _read_class_folders(path, class_names)
        if patient_from is not None:
            dataset = _look_beside(dataset, patient_from)
    _require_classes(dataset, both_classes)
    if patients_csv is not None:
        dataset = _say_whose(dataset, patients_csv)
    return replace(dataset, items=tuple(sorted(dataset.items, key=lambda item: str(item.path))))


def _read_class_folders(path: Path, class_names: Mapping[str, Label]) -> DatasetFolder:
    labels = {normal_text(name): label for name, label in class_names.items()}
    kept_out: Counter[str] = Counter()
    items: list[DatasetItem] = []
    folders = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    if not any(normal_text(folder.name) in labels for folder in folders):
        names = ", ".join(repr(folder.name) for folder in folders) or "no folder at all"
        expected = f"expected one folder per class ({_name_classes(class_names)})"
        raise InvalidDataset(f"{path}: received {names}; {expected}{_hint_deeper(folders, labels)}")
    for folder in folders:
        label = labels.get(normal_text(folder.name))
        if label is None:
            kept_out[f"folder {folder.name!r} is no class"] += count_files(folder)
        else:
            word = own_word(normal_text(folder.name), label)
            items += [DatasetItem(file, label, None, word=word) for file in find_class_files(folder, kept_out)]
    return DatasetFolder(path, tuple(items), {reason: n for reason, n in kept_out.items() if n})


def _hint_deeper(folders: list[Path], labels: Mapping[str, Label]) -> str:
    """Where the classes' folders lie one level deeper, as in sets that come split, or in a folder of a zip."""
    deeper = [
        folder.name
        for folder in folders
        if any(normal_text(child.name) in labels for child in folder.iterdir() if child.is_dir())
    ]
    if not deeper:
        return ""
    if len(deeper) == 1:
        return f"; {deeper[0]}/ holds them: give that folder"
    return (
        f"; {', '.join(f'{name}/' for name in deeper)} hold them: put each class's files into one folder per class "
        "(the split is made anew, by patient)"
    )


def _require_classes(dataset: DatasetFolder, both_classes: bool) -> None:
    found = Counter(item.label for item in dataset.items)
    missing = [label.value for label in (Label.COVID, Label.NORMAL) if not found[label]]
    if not found or (both_classes and missing):
        reasons = "; ".join(f"{reason}: {number}" for reason, number in sorted(dataset.kept_out.items()))
        kept_out = f" (kept out: {reasons})" if reasons else ""
        raise InvalidDataset(
            f"{dataset.root}: found no X-ray of class {' or '.join(missing)}; training needs both classes{kept_out}"
        )


def _look_beside(dataset: DatasetFolder, patient_from: PatientSource) -> DatasetFolder:
    """The same dataset with the patients that stand beside its films, or that their folders are named after."""
    read = _read_beside if patient_from is PatientSource.SIDECAR else partial(_read_folder, dataset.root)
    items = [replace(item, patient=read(item.path)) for item in dataset.items]
    kept_out = dict(dataset.kept_out)
    if patient_from is PatientSource.SIDECAR:
        kept_out.pop(UNREAD_SIDECARS, None)
    return replace(dataset, items=tuple(items), kept_out=kept_out)


def _read_beside(file: Path) -> str | None:
    try:
        sidecar = read_sidecar(os.fsencode(file))
    except UnreadableXray as error:
        raise InvalidDataset(f"{file}: {error.detail}") from None
    return None if sidecar is None or is_placeholder(sidecar.patient_id) else sidecar.patient_id


def _read_folder(root: Path, file: Path) -> str | None:
    """The first folder below the class's, pictures' folders left out; None for a film of the class's own folder."""
    folders = [name for name in file.relative_to(root).parts[1:-1] if not holds_pictures(name)]
    return None if not folders or is_placeholder(folders[0]) else folders[0]


def _say_whose(dataset: DatasetFolder, patients_csv: Path) -> DatasetFolder:
    """The same dataset with what the patients CSV says of its files."""
    files = [item.path.relative_to(dataset.root).as_posix() for item in dataset.items]
    rows, fit = match_patients(read_patients_csv(patients_csv), files)
    items = [_describe(item, rows.get(file)) for item, file in zip(dataset.items, files, strict=True)]
    return replace(dataset, items=tuple(items), fit=fit)


def _describe(item: DatasetItem, row: PatientLine | None) -> DatasetItem:
    if row is None:
        return item
    patient = row.patient_id or item.patient
    return replace(item, patient=patient, source=row.source, view=row.view, sex=row.sex, age_group=row.age_group)


def _name_classes(class_names: Mapping[str, Label]) -> str:
    return ", ".join(f"{name}/ for {label.value}" for name, label in class_names.items())
