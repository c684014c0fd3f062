"""Labels coming back: from a reviewer's CSV or a folder per class into the ledger, all rows or none."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from db import audit
from db.engine import transaction
from db.scoring import labels, patients
from flows.home.label_words import read_label_words
from flows.home.ledger import open_ledger
from flows.home.site_key import read_site_key
from flows.review.dispute_csv import import_disputes, is_disputes_csv
from flows.review.given_verdicts import import_verdicts, is_verdicts_csv
from flows.review.label_names import resolve_names
from flows.review.patient_import import find_label_patients
from flows.settings import Settings
from xray_core.errors import InvalidLabelsCsv
from xray_core.exchange.atomic_file import write_whole
from xray_core.exchange.label_rows import ReadLabels
from xray_core.exchange.labels_csv import read_labels_csv
from xray_core.exchange.labels_folder import read_labels_folder
from xray_core.exchange.records import LabelLine
from xray_core.imaging.folder import is_ignored
from xray_core.reading.contradiction import find_contradicted, hold_contradicting
from xray_core.records import Label, LabelProblem, LabelProblemCode, escape_name

_DONE, _REFUSED = "done", "refused"
_PROBLEMS = ".problems.txt"
_LONGEST_NAME = 255  # bytes
_PUT_AWAY = frozenset({_DONE, _REFUSED})


@dataclass(frozen=True, slots=True)
class LabelImport:
    """What one import did; counts only, fit for logs and artifacts."""

    rows: int
    new: int
    by_label: dict[str, int]


@dataclass(frozen=True, slots=True)
class DroppedFile:
    """What became of one file in labels/: imported, or refused; its problems are counted here by code.

    `fit` says how many of its rows fit an X-ray, where not all do.
    """

    number: int
    imported: LabelImport | None
    problems: dict[str, int]
    fit: str = ""


def import_labels_from(
    settings: Settings, source: Path, *, mapping: dict[str, str], accept_contradictions: bool = False
) -> LabelImport:
    """Import a labels CSV, the CSV that a reading page saved, one of disputed films, or a folder per class.

    One that contradicts what is known of more than a fifth of its films is refused unless `accept_contradictions`; what
    a reader says on a page, film by film, is an opinion and never held. Raises InvalidLabelsCsv listing every bad row,
    changing nothing.
    """
    if is_verdicts_csv(source):
        with open_ledger(settings) as engine:
            by_label, new = import_verdicts(settings, engine, source)
        return LabelImport(rows=by_label.total(), new=new, by_label=dict(by_label))
    words = {word: label.value for word, label in read_label_words(settings).items()} | mapping
    if is_disputes_csv(source):
        with open_ledger(settings) as engine:
            by_label, new = import_disputes(engine, source, words)
        return LabelImport(rows=by_label.total(), new=new, by_label=dict(by_label))
    read = _read(source, words)
    with open_ledger(settings) as engine:
        return _add_rows(engine, read, source, read_site_key(settings), accept_contradictions=accept_contradictions)


def await_dropped(settings: Settings) -> list[Path]:
    """The settled files in labels/; what has only just come is given its settle time first."""
    if len(find_dropped(settings)) < len(list_dropped(settings)):
        time.sleep(settings.settle_seconds)
    return find_dropped(settings)


def find_dropped(settings: Settings) -> list[Path]:
    """The settled CSV files in labels/, oldest name first; what is still being written waits for the next run."""
    found: list[Path] = []
    for path in list_dropped(settings):
        age_ns = time.time_ns() - path.stat().st_ctime_ns
        if age_ns >= settings.settle_seconds * 1e9 or age_ns < 0:
            found.append(path)
    return found


def list_dropped(settings: Settings) -> list[Path]:
    """Every file in labels/ that is there to be taken in, settled or not, by name."""
    return [
        path
        for path in sorted(settings.labels_dir.iterdir())
        if not path.is_symlink() and path.is_file() and not is_ignored(os.fsencode(path.name))
    ]


def count_left_alone(settings: Settings) -> int:
    """The folders and links in labels/, which no run takes in, besides those in which it puts files away."""
    return sum(
        (path.is_symlink() or path.is_dir()) and path.name not in _PUT_AWAY and not is_ignored(os.fsencode(path.name))
        for path in settings.labels_dir.iterdir()
    )


def take_in(settings: Settings, path: Path, number: int) -> DroppedFile:
    """Import one dropped file and put it away: into done/, or into refused/ with a list of its problems."""
    try:
        imported = import_labels_from(settings, path, mapping={})
    except InvalidLabelsCsv as refusal:
        target = _name_away(path, settings.labels_dir / _REFUSED)
        words = f"{refusal}\n".encode(errors="backslashreplace")
        write_whole(target.with_name(f"{target.name}{_PROBLEMS}"), words)  # first: no refusal without its reasons
        path.rename(target)
        return DroppedFile(number, None, refusal.problem_counts, refusal.fit)
    path.rename(_name_away(path, settings.labels_dir / _DONE))
    return DroppedFile(number, imported, {})


def _read(source: Path, words: dict[str, str]) -> ReadLabels:
    """What stands in a CSV or a folder; one that cannot be read is refused like one that makes no sense."""
    try:
        return read_labels_folder(source, mapping=words) if source.is_dir() else read_labels_csv(source, mapping=words)
    except OSError as error:
        received = f"a file that cannot be read ({error.strerror})"
        problem = LabelProblem(None, LabelProblemCode.UNREADABLE, received, "one that the service may read")
        return ReadLabels(escape_name(os.fsencode(source.name)), (), (problem,))


def _add_rows(
    engine: Engine, read: ReadLabels, source: Path, key: bytes, *, accept_contradictions: bool
) -> LabelImport:
    with transaction(engine) as session:
        named, doubtful = resolve_names(session, read.rows)
        matched, unmatched = labels.match_labels(session, named)
        facts, contradictory = find_label_patients(session, matched, key)
        given = {xray_id: row.label for row, xray_id in matched}
        known = labels.read_latest(session, list(given))
        held = [] if accept_contradictions else hold_contradicting(known, given)
        rows = read.accept([*doubtful, *unmatched, *contradictory, *held], fit=_say_fit(len(matched), len(read.rows)))
        digest = _digest(source, rows)
        patients.add_facts(session, facts, source="labels", import_sha256=digest, now=datetime.now(UTC))
        new = labels.add_labels(
            session,
            matched,
            source="folder" if source.is_dir() else "csv",
            import_sha256=digest,
            now=datetime.now(UTC),
        )
        counts = Counter(row.label.value for row in rows)
        if new:
            audit.append(
                session,
                actor="reviewer",
                action="labels-imported",
                subject=digest[:16],
                detail={
                    "rows": len(rows),
                    "new": new,
                    **counts,
                    **_tell_words(rows),
                    **_note_contradicted(known, given),
                },
                now=datetime.now(UTC),
            )
    return LabelImport(rows=len(rows), new=new, by_label=dict(counts))


def _tell_words(rows: list[LabelLine]) -> dict[str, dict[str, str]]:
    """The site's own words that were used, each with the label that it stood for."""
    words = {row.word: row.label.value for row in rows if row.word is not None}
    return {"words": dict(sorted(words.items()))} if words else {}


def _note_contradicted(known: dict[int, Label], given: dict[int, Label]) -> dict[str, int]:
    """How many known labels were contradicted, for the audit log; nothing where none was."""
    contradicted = find_contradicted(known, given)
    return {"contradicted": contradicted} if contradicted else {}


def _say_fit(matched: int, rows: int) -> str:
    """How many rows fit, and the way out where not all do."""
    if matched == rows:
        return ""
    way_out = "`xray export` lists the names and sha256 that are known here; `xray scan` or `xray train` adds films"
    return f"{matched} of {rows} rows fit an X-ray that is known here ({way_out})"


def _digest(source: Path, rows: list[LabelLine]) -> str:
    content = source.read_bytes() if source.is_file() else repr(rows).encode()
    return hashlib.sha256(content).hexdigest()


def _name_away(path: Path, folder: Path) -> Path:
    """Where a file is put away: under its name with the time before it, cut where no longer one is taken."""
    folder.mkdir(mode=0o700, exist_ok=True)
    time = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-"
    kept = os.fsencode(path.name)[-(_LONGEST_NAME - len(time) - len(_PROBLEMS)) :]
    return folder / f"{time}{os.fsdecode(kept)}"
