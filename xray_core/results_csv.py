"""The results CSV: one plain table for review, and a manifest beside it that says what it is."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from xray_core.atomic_file import replacing
from xray_core.csv_cells import make_safe
from xray_core.records import RESEARCH_USE, ResultLine

COLUMNS = (
    "file",
    "xray_sha256",
    "patient",
    "outcome",
    "probability_covid",
    "model_version",
    "scored_at",
    "state",
    "reason_code",
    "label",
    "labelled_by",
    "labelled_at",
)
MANIFEST_ENDING = ".manifest.json"


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What was written: the CSV's path, its rows, its SHA-256, and how many files stand in each state."""

    path: Path
    rows: int
    sha256: str
    states: dict[str, int]


def write_results_csv(
    path: Path, lines: Iterable[ResultLine], *, with_file_names: bool = True, notes: Mapping[str, str]
) -> ExportSummary:
    """Write the lines, in the order they come, as UTF-8 CSV with \\n line ends; nothing is held in memory.

    The same lines give the same bytes. Text that a spreadsheet might run is made harmless. Without file names
    the `file` column holds the content's first 16 hex digits, which a label import matches as well.

    The CSV stays a plain table, so that pandas and the label import read it as it is; that it is for research
    only, and the `notes` (champion, audit, prevalence), stand in `<path>.manifest.json`, written after it.
    Raises OSError; the file that was there before is then still whole.
    """
    states: Counter[str] = Counter()
    digest = hashlib.sha256()
    with replacing(path) as file:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(COLUMNS)
        for line in lines:
            states[line.state.value] += 1
            writer.writerow(_to_row(line, with_file_names=with_file_names))
            if buffer.tell() > 1 << 16:
                _pour(buffer, file, digest)
        _pour(buffer, file, digest)
    summary = ExportSummary(path, states.total(), digest.hexdigest(), dict(sorted(states.items())))
    _write_manifest(summary, notes)
    return summary


def _to_row(line: ResultLine, *, with_file_names: bool) -> tuple[str, ...]:
    name = line.file if with_file_names else (line.xray_sha256 or "")[:16]
    return (
        make_safe(name),
        line.xray_sha256 or "",
        line.patient or "",
        line.outcome.value if line.outcome else "",
        "" if line.probability_covid is None else f"{line.probability_covid:.6f}",
        make_safe(line.model_version or ""),
        _to_text(line.scored_at),
        line.state.value,
        line.reason_code.value if line.reason_code else "",
        line.label.value if line.label else "",
        make_safe(line.labelled_by or ""),
        _to_text(line.labelled_at),
    )


def _to_text(time: datetime | None) -> str:
    return "" if time is None else time.astimezone(UTC).isoformat(timespec="seconds")


def _pour(buffer: io.StringIO, file: BinaryIO, digest: hashlib._Hash) -> None:
    content = buffer.getvalue().encode("utf-8", "surrogateescape")
    file.write(content)
    digest.update(content)
    buffer.seek(0)
    buffer.truncate()


def _write_manifest(summary: ExportSummary, notes: Mapping[str, str]) -> None:
    manifest = {
        "research_use": RESEARCH_USE,
        "file": summary.path.name,
        "rows": summary.rows,
        "sha256": summary.sha256,
        "states": summary.states,
        **notes,
    }
    with replacing(summary.path.with_name(summary.path.name + MANIFEST_ENDING)) as file:
        file.write(json.dumps(manifest, indent=1, ensure_ascii=False).encode() + b"\n")
