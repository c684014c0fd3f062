"""The results CSV: what leaves for review, safe to open in a spreadsheet, and its manifest."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from xray_core.exchange.atomic_file import write_aside, write_whole
from xray_core.exchange.formula_guard import guard_text
from xray_core.exchange.records import ResultLine
from xray_core.imaging.content import hash_file
from xray_core.records import RESEARCH_USE, escape_name, say_why_referred

SCORE_VISIBLE: Final = "score_visible"
COLUMNS: Final = (
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
    "refer_reason",
    "probability_at_prevalence",
    "label_standing",
    "study",
    "image",
)

# What a reader gets who shall not know the model's opinion; the last column tells the import so.
REVIEW_COLUMNS: Final = ("file", "xray_sha256", "label", "labelled_by", "labelled_at", SCORE_VISIBLE)

_LINES_PER_WRITE = 1_000

# A line to its P(covid) at the stated prevalence, None where that cannot be told.
Move = Callable[[ResultLine], float | None]


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What an export wrote: the CSV and its manifest, how many rows, the CSV's SHA-256, rows by state."""

    path: Path
    manifest: Path
    rows: int
    sha256: str
    states: Mapping[str, int]


def write_results_csv(
    path: Path,
    lines: Iterable[ResultLine],
    *,
    with_file_names: bool = True,
    for_review: bool = False,
    move: Move = lambda _: None,
    notes: Mapping[str, str],
) -> ExportSummary:
    """Write one row for every line, in the order given, and `<name>.manifest.json` beside it; both appear whole.

    UTF-8, RFC 4180 with `\\n`; text is quoted and cannot become a formula, numbers stay numbers, times are UTC.
    The same lines and notes give the same bytes. Without file names the column `file` holds the first 16 digits
    of the X-ray's SHA-256, and nothing for a file that was refused before it was read. `notes` (the champion and its
    standing, the prevalence, the audit log's head) go into the manifest with the research-use line: the CSV itself
    stays a plain table that reads back in. Where it replaces another CSV the manifest names that one's SHA-256 too: a
    process that is killed between the two leaves the old one beside the new manifest. With `for_review` it has
    REVIEW_COLUMNS alone, of scored files, with empty labels: no score, outcome or earlier label stands there.
    `move` makes `probability_at_prevalence`. Memory stays flat. Raises OSError.
    """
    manifest = name_manifest(path)
    states: Counter[str] = Counter()
    replaces = hash_file(path) if path.is_file() else None
    with write_aside(path) as file:
        make = _make_review_rows if for_review else partial(_make_rows, move=move)
        columns = REVIEW_COLUMNS if for_review else COLUMNS
        sha256 = _write_rows(file, columns, make(lines, states, with_file_names=with_file_names))
        # Before the CSV takes its name: scores never stand there without their manifest.
        described = _describe(
            path.name, (sha256, replaces), states, columns, with_file_names=with_file_names, notes=notes
        )
        write_whole(manifest, described)
    return ExportSummary(path, manifest, states.total(), sha256, dict(sorted(states.items())))


def name_manifest(path: Path) -> Path:
    """Where the manifest of a CSV stands: beside it."""
    return path.with_name(f"{path.name}.manifest.json")


def is_manifest(path: Path) -> bool:
    """Whether a file is the manifest of an export: of a CSV that was moved away it may be replaced."""
    try:
        described = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(described, dict) and {"notice", "sha256", "rows_by_state"} <= described.keys()


def is_unchanged(path: Path) -> bool:
    """Whether a CSV has the bytes that were exported, as its manifest says. Raises OSError where it cannot be read."""
    try:
        described = json.loads(name_manifest(path).read_bytes())
        return hash_file(path) in (described["sha256"], described.get("replaces"))
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return False


def name_export(now: datetime, *, caution: str | None = None) -> str:
    """A file name that goes on saying what the CSV is for when the manifest is left behind, as in a mail.

    `results-20261123T020000Z-research-use-only.csv`, or with a caution such as "confounded" before the ending. The
    name is the one place in a CSV that is neither a column nor a line: both would break what reads the table.
    """
    parts = ("results", f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}", "research-use-only", *([caution] if caution else []))
    return f"{'-'.join(parts)}.csv"


def _write_rows(file: BinaryIO, columns: tuple[str, ...], rows: Iterator[tuple[str | float, ...]]) -> str:
    digest = hashlib.sha256()
    chunk: list[tuple[str | float, ...]] = [columns]
    while chunk:
        content = _format_rows(chunk)
        digest.update(content)
        file.write(content)
        chunk = list(islice(rows, _LINES_PER_WRITE))
    return digest.hexdigest()


def _make_rows(
    lines: Iterable[ResultLine], states: Counter[str], *, with_file_names: bool, move: Move
) -> Iterator[tuple[str | float, ...]]:
    for line in lines:
        states[line.state.value] += 1
        yield (
            guard_text(line.file) if with_file_names else (line.xray_sha256 or "")[:16],
            line.xray_sha256 or "",
            guard_text(line.patient or ""),
            line.outcome or "",
            "" if line.probability_covid is None else float(line.probability_covid),
            guard_text(line.model_version or ""),
            _format_time(line.scored_at),
            line.state.value,
            line.reason_code or "",
            line.label or "",
            guard_text(line.labelled_by or ""),
            _format_time(line.labelled_at),
            guard_text(say_why_referred(line.outcome, line.refer_reason) or ""),
            "" if (moved := move(line)) is None else moved,
            line.label_standing or "",
            line.study or "",
            line.image or "",
        )


def _make_review_rows(
    lines: Iterable[ResultLine], states: Counter[str], *, with_file_names: bool
) -> Iterator[tuple[str | float, ...]]:
    for line in lines:
        if line.outcome is None:
            continue
        states[line.state.value] += 1
        name = guard_text(line.file) if with_file_names else (line.xray_sha256 or "")[:16]
        yield name, line.xray_sha256 or "", "", "", "", "no"


def _format_rows(rows: list[tuple[str | float, ...]]) -> bytes:
    """Every text in quotes: a spreadsheet that takes `;` for the delimiter must not split a file name at it."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8")


def _format_time(time: datetime | None) -> str:
    return "" if time is None else time.astimezone(UTC).isoformat()


def _describe(
    name: str,
    hashes: tuple[str, str | None],
    states: Counter[str],
    columns: tuple[str, ...],
    *,
    with_file_names: bool,
    notes: Mapping[str, str],
) -> bytes:
    sha256, replaces = hashes
    manifest = {
        "notice": RESEARCH_USE,
        "file": escape_name(os.fsencode(name)),
        "sha256": sha256,
        **({"replaces": replaces} if replaces not in (None, sha256) else {}),
        "rows": states.total(),
        "rows_by_state": dict(sorted(states.items())),
        "columns": list(columns),
        "file_names": "as delivered" if with_file_names else "left out: first 16 digits of the X-ray's SHA-256",
        "notes": dict(sorted(notes.items())),
    }
    return (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode("utf-8")
