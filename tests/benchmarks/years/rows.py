"""The rows of a home of years, as the service would have written them: film after film over three years."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from db.records import ModelRecord
from xray_core.imaging.folder import sign_file
from xray_core.imaging.records import ScaleRule
from xray_core.records import FileFormat, FileState, Outcome, ReasonCode, Split

END: Final = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
START: Final = END - timedelta(days=3 * 365)
_FILMS_PER_PATIENT: Final = 3
_FILMS_PER_RUN: Final = 64
_REJECTED_EVERY: Final = 400

Row = dict[str, Any]


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def content_of(number: int) -> str:
    """The SHA-256 of a film by its number, from 1 on."""
    return sha256_of(f"film {number}")


def patient_of(number: int) -> str:
    """The pseudonym of its patient; of each patient three films come, far apart."""
    return sha256_of(f"patient {number // _FILMS_PER_PATIENT}")[:32]


def name_of(number: int) -> str:
    return f"PACS-{number:09d}.png"


def time_of(number: int, of: int) -> datetime:
    return START + (END - START) * (number / of)


def describe_films(
    numbers: Sequence[int], films: int, known: Sequence[ModelRecord], folder_id: int
) -> tuple[list[Row], list[Row], list[Row]]:
    """X-rays, results and files of some films; every so many files is a refused one besides."""
    times = {number: time_of(number, films) + timedelta(microseconds=number % 999_983) for number in numbers}
    xrays = [xray_row(number, folder_id, at) for number, at in times.items()]
    results = [_result_row(number, _champion_at(number, films, known), at) for number, at in times.items()]
    files = [_file_row(number, folder_id, at, scored=True) for number, at in times.items()]
    files += [_file_row(n, folder_id, at, scored=False) for n, at in times.items() if n % _REJECTED_EVERY == 0]
    return xrays, results, files


def xray_row(number: int, folder_id: int, at: datetime) -> Row:
    sha256 = content_of(number)
    return {
        "id": number,
        "sha256": sha256,
        "patient": patient_of(number),
        "view": "PA" if number % 3 else "AP",
        "file_format": FileFormat.PNG,
        "width": 1024,
        "height": 1024,
        "mode": "L",
        "scale_rule": ScaleRule.EIGHT_BIT,
        "flags": "",
        "dhash": sha256[:16],
        "path": name_of(number),
        "folder_id": folder_id,
        "first_seen_at": at,
    }


def side_rows(films: int, labels: int) -> Iterator[Row]:
    """The side of every patient of whom a film is labelled: three of four train."""
    groups = {patient_of(number): number for number in labelled_numbers(films, labels)}
    sides = (Split.TRAIN, Split.TRAIN, Split.TRAIN, Split.VALIDATION, Split.TEST)
    for number, group in enumerate(groups):
        yield {"split_group": group, "split": sides[number % len(sides)], "assigned_at": END}


def labelled_numbers(films: int, labels: int) -> list[int]:
    """The films that were read, each by two readers, spread over the years."""
    read = max(1, labels // 2)
    return [1 + place * films // read for place in range(read)]


def fact_rows(films: int) -> Iterator[Row]:
    """Whose films are, said by CSV of every twentieth."""
    for number in range(20, films + 1, 20):
        said = {"sha256": content_of(number), "name": None, "patient": patient_of(number), "source": "csv"}
        yield said | {"import_sha256": sha256_of(f"csv {number // 2000}"), "recorded_at": END}


def scan_rows(scans: int) -> Iterator[Row]:
    """One a minute; every other one found something."""
    for number in range(scans):
        at = END - timedelta(minutes=scans - number)
        found = {"scored": number % 2 * 4, "rejected": 0, "deferred": 0, "problem": None}
        yield {"started_at": at, "finished_at": at + timedelta(seconds=1), "scans": 1 + (number % 2 == 0)} | found


def _champion_at(number: int, films: int, known: Sequence[ModelRecord]) -> ModelRecord:
    """Every fifth version was champion for its share of the time."""
    place = (number - 1) * len(known) // films
    return known[max(0, place // 5 * 5 - 1)] if place < len(known) - 1 else known[-1]


def _result_row(number: int, model: ModelRecord, at: datetime) -> Row:
    probability = int(content_of(number)[:8], 16) / 2**32
    outcome = Outcome.REFER if 0.4 < probability < 0.6 else None
    return {
        "xray_id": number,
        "model_id": model.model_id,
        "preprocessing_version": model.preprocessing_version,
        "probability": probability,
        "outcome": outcome or (Outcome.POSITIVE if probability >= 0.5 else Outcome.NEGATIVE),
        "distance": 1 + probability / 3,
        "scored_at": at,
        "flow_run_id": str(uuid.UUID(sha256_of(f"run {number // _FILMS_PER_RUN}")[:32])),
        "duration_ms": 7 + probability,
        "shadow": False,
    }


def _file_row(number: int, folder_id: int, at: datetime, *, scored: bool) -> Row:
    name = name_of(number) if scored else f"broken-{number:09d}.png"
    ns = int(at.timestamp() * 1e9)
    return {
        "name": name,
        "size": 400_000 + number % 100_000,
        "mtime_ns": ns,
        "ctime_ns": ns + 1_000_000,
        "signature": sign_file(folder_id, name.encode(), 400_000 + number % 100_000, ns, ns + 1_000_000),
        "folder_id": folder_id,
        "first_seen_at": at,
        "decided_at": at + timedelta(milliseconds=731),
        "tries": 0 if scored else 1,
        "state": FileState.SCORED if scored else FileState.REJECTED,
        "xray_id": number if scored else None,
        "reason_code": None if scored else ReasonCode.CORRUPT_IMAGE,
        "reason_detail": None if scored else "the picture ends before its end",
        "refused_sha256": None if scored else sha256_of(name),
    }
