"""Disputed films as a CSV for whoever settles them without the page, and the same CSV coming back."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from db import audit
from db.engine import transaction
from db.reading import lists, verdicts
from flows.settings import Settings
from xray_core.errors import InvalidLabelsCsv
from xray_core.exchange.atomic_file import write_whole
from xray_core.exchange.csv_table import CsvTable, normal_text, read_csv_table
from xray_core.exchange.formula_guard import guard_text
from xray_core.exchange.label_rows import read_mapping
from xray_core.imaging.content import hash_file
from xray_core.reading.records import ListItem, ListPurpose, Opinion, ReaderVerdict
from xray_core.records import Label, unescape_name

_COLUMNS = ("list", "position", "file", "xray_sha256", "opinions", "label")
_LARGEST = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Settled:
    line: int
    list_id: int
    position: int
    sha256: str
    label: Label


def write_disputes_csv(
    settings: Settings, path: Path, items: Sequence[ListItem], opinions: Mapping[int, Sequence[Opinion]]
) -> int:
    """Write a list's films with an empty label column, and what readers said where it may be shown; how many rows.

    The opinions stand in one cell without names, in the order given.
    """
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for item in items:
        name = unescape_name(item.path.path.rpartition("/")[2]).decode("utf-8", "replace")
        shown = guard_text(name) if settings.file_names_in_exports else item.sha256[:16]
        said = " | ".join(_say(one) for one in opinions.get(item.position, ()))
        writer.writerow((item.list_id, item.position, shown, item.sha256, said, ""))
    write_whole(path, text.getvalue().encode("utf-8"))
    return len(items)


def _say(opinion: Opinion) -> str:
    why = f" ({opinion.exclude_reason.replace('_', ' ')})" if opinion.exclude_reason else ""
    return f"{opinion.label.value}{why}{', not sure' if opinion.sure is False else ''}"


def is_disputes_csv(source: Path) -> bool:
    """Whether a file is such a CSV, whatever a spreadsheet made of its delimiters."""
    if not source.is_file() or source.stat().st_size > _LARGEST:
        return False
    try:
        columns = read_csv_table(source, known=_COLUMNS).columns
    except OSError:  # who takes it in as labels says why it cannot be read
        return False
    return {"list", "position", "opinions", "label"} <= set(columns)


def import_disputes(engine: Engine, source: Path, words: Mapping[str, str]) -> tuple[Counter[str], int]:
    """Take in the labels of such a CSV, all rows or none; its rows by label, and how many were new.

    Rows without a label are passed over. Raises InvalidLabelsCsv listing every bad row.
    """
    table = read_csv_table(source, known=_COLUMNS)
    rows, problems = _read(table, read_mapping(words))
    now = datetime.now(UTC)
    with transaction(engine) as session:
        kept = _find_items(session, {row.list_id for row in rows})
        for row in rows:
            item = kept.get((row.list_id, row.position))
            if item is None:
                problems.append(f"line {row.line}: list {row.list_id} of disputed films has no film {row.position}")
            elif item.sha256 != row.sha256:
                problems.append(
                    f"line {row.line}: xray_sha256 is not that of film {row.position} of list {row.list_id}; "
                    "expected the row as it was written by `xray labels adjudicate --csv`, in the home that wrote it"
                )
        if problems or not rows:
            raise InvalidLabelsCsv(table.source, problems or ["no label in any row"])
        unread = {list_id for (list_id, _), item in kept.items() if item.label is None}
        new = sum(
            _record(session, row, kept[row.list_id, row.position], now, seen=row.list_id not in unread) for row in rows
        )
        labels = Counter(row.label.value for row in rows)
        if new:
            digest, detail = hash_file(source)[:16], {"rows": len(rows), "new": new, **labels}
            audit.append(session, actor="reviewer", action="labels-imported", subject=digest, detail=detail, now=now)
    return labels, new


def _read(table: CsvTable, words: Mapping[str, Label]) -> tuple[list[_Settled], list[str]]:
    problems = [str(problem) for problem in table.problems]
    rows: list[_Settled] = []
    for row in table.rows:
        cells = dict.fromkeys(_COLUMNS, "") | {
            name: cell.strip() for name, cell in zip(table.columns, row.cells, strict=False)
        }
        label = words.get(normal_text(cells["label"]))
        if not cells["label"]:
            continue
        if label is None:
            problems.append(f"line {row.line}: label {cells['label'][:40]!r}; expected one of {', '.join(Label)}")
        elif not (_is_number(cells["list"]) and _is_number(cells["position"])):
            problems.append(f"line {row.line}: list and position; expected the numbers that were written there")
        else:
            sha256 = cells["xray_sha256"].lower()
            rows.append(_Settled(row.line, int(cells["list"]), int(cells["position"]), sha256, label))
    return rows, problems


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def _find_items(session: Session, list_ids: Iterable[int]) -> dict[tuple[int, int], ListItem]:
    items: dict[tuple[int, int], ListItem] = {}
    for list_id in list_ids:
        found = lists.find_list(session, list_id)
        if found is not None and found.purpose is not ListPurpose.READING:
            items |= {(list_id, item.position): item for item in lists.items_of(session, list_id)}
    return items


def _record(session: Session, row: _Settled, item: ListItem, now: datetime, *, seen: bool) -> bool:
    """Write a row's label, where it is another one than the list has of this film; `seen`: after the list's end."""
    if item.label is row.label:
        return False
    told = f"{row.list_id} {row.position} {row.label.value} {now.isoformat()}"
    verdict = ReaderVerdict(
        list_id=row.list_id,
        position=row.position,
        label=row.label,
        sure=None,
        exclude_reason=None,
        flagged_note=None,
        shown_at=None,
        seconds=None,
        score_visible=seen,
        prior_used=None,
        request_id=hashlib.sha256(told.encode()).hexdigest()[:32],
    )
    return verdicts.record_verdict(session, verdict, now=now, source="csv")
