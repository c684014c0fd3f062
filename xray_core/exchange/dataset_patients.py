"""Which row of a patients CSV means which file of a dataset, and how well the two fit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from unicodedata import normalize

from xray_core.errors import InvalidDataset
from xray_core.exchange.file_names import find_longer, match_names, matches_few
from xray_core.exchange.patients_csv import PatientLine, ReadPatients, list_problems


@dataclass(frozen=True, slots=True)
class PatientsFit:
    """How a patients CSV fits a dataset: files with a row, of `files`; rows that fit a file, of `rows`.

    `ambiguous` rows fit several, so that nobody can tell which is meant: they say nothing.
    """

    source: str
    files: int
    with_row: int
    rows: int
    fitting: int
    ambiguous: int

    def __str__(self) -> str:
        fits = f"{self.with_row} of {self.files} files have a row, {self.fitting} of {self.rows} rows fit a file"
        unclear = f", {self.ambiguous} fit several and say nothing (write folder/name)" if self.ambiguous else ""
        return f"{self.source}: {fits}{unclear}"


def match_patients(read: ReadPatients, files: Sequence[str]) -> tuple[dict[str, PatientLine], PatientsFit]:
    """The row of each file that has one, by its path below the dataset (`folder/name`), and how the CSV fits.

    A row names a file by its last part, in any Unicode form, case or without its ending where that is unique; where
    names repeat, the folders before it decide. Raises InvalidDataset with every bad row, for a file that has
    rows of two patients, and for a CSV that fits few files: its names are others', and nobody would know.
    """
    longer = find_longer((row.filename for row in read.rows), files)
    problems = [*read.problems, *(_say_shortened(row, longer) for row in read.rows if row.filename in longer)]
    if problems:
        raise InvalidDataset(f"{read.source}: refused:\n{list_problems(problems)}")
    by_base: defaultdict[str, list[str]] = defaultdict(list)
    for file in files:
        by_base[_base(file)].append(file)
    meant = match_names([_base(row.filename) for row in read.rows if row.filename], by_base)
    said: dict[tuple[str, ...], PatientLine] = {}
    counted = {True: 0, False: 0}
    for row in read.rows:
        candidates = [file for base in meant.get(_base(row.filename), ()) for file in by_base[base]]
        if not (nearest := _narrow(row.filename, candidates)):
            continue
        counted[len(nearest) == 1] += 1
        if said.setdefault(nearest, row).patient_id != row.patient_id:
            raise InvalidDataset(_say_two(read.source, row, nearest[0]))
    found = {nearest[0]: row for nearest, row in said.items() if len(nearest) == 1}
    fit = PatientsFit(read.source, len(files), len(found), len(read.rows), counted[True], counted[False])
    if matches_few(fit.fitting, min(len(read.rows), len(files))):
        raise InvalidDataset(_say_few(fit, read, files))
    return found, fit


def _narrow(name: str, candidates: list[str]) -> tuple[str, ...]:
    """Those of the files whose folders are most of all the folders that the row names."""
    if len(candidates) < 2:
        return tuple(candidates)
    named = set(map(_alike, name.split("/")[:-1]))
    shared = [len(named & set(map(_alike, file.split("/")[:-1]))) for file in candidates]
    return tuple(file for file, count in zip(candidates, shared, strict=True) if count == max(shared))


def _say_shortened(row: PatientLine, longer: Mapping[str, str]) -> str:
    return (
        f"line {row.line}: {row.filename} may once have been {longer[row.filename]}, whose zeros a spreadsheet takes "
        "away; format the column as text"
    )


def _say_two(source: str, row: PatientLine, file: str) -> str:
    return (
        f"{source}, line {row.line}: {_base(file)} stands there for two patients; write folder/name, as {file}, or one "
        "of the two"
    )


def _say_few(fit: PatientsFit, read: ReadPatients, files: Sequence[str]) -> str:
    named = [row.filename for row in read.rows if row.filename] or ["no file, a sha256 alone"]
    return (
        f"{fit}. So few that its names are probably not these files': they read {', '.join(named[:3])}, the files are "
        f"{', '.join(files[:3])}; expected each file's name or folder/name, and no rows of other films (a CSV by "
        "sha256, or of films to come: `xray patients import`)"
    )


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _alike(part: str) -> str:
    return normalize("NFC", part).casefold()
