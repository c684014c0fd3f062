"""Verdicts as the reading page gives them: one by one to the server, or as the CSV that a folder's page saves."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from db import audit
from db.engine import transaction
from db.reading import lists, verdicts
from flows.home.site_key import read_site_key
from flows.settings import Settings
from xray_core.errors import InvalidLabelsCsv
from xray_core.imaging.content import hash_file
from xray_core.reading.records import ListItem, ReaderVerdict, is_complete
from xray_core.records import Label

_LARGEST = 16 * 2**20
_COLUMNS = (
    "list",
    "position",
    "label",
    "sure",
    "exclude_reason",
    "flagged_note",
    "shown_at",
    "seconds",
    "prior_used",
    "request_id",
)


class GivenVerdict(BaseModel):
    """A verdict as the page sends it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    list_id: Annotated[int, Field(alias="list", ge=1, lt=2**63)]
    request_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    position: Annotated[int, Field(ge=1)]
    label: Label
    sure: bool
    exclude_reason: Literal["not_a_chest", "lateral", "child", "unreadable", "annotated"] | None
    flagged_note: Annotated[str, Field(max_length=500)] | None
    shown_at: AwareDatetime
    seconds: Annotated[float, Field(ge=0, le=86400)]
    prior_used: bool

    @model_validator(mode="after")
    def _says_why(self) -> GivenVerdict:
        if (self.label is Label.EXCLUDE) != (self.exclude_reason is not None):
            raise ValueError("a film is excluded for a reason, and only then has one")
        return self


def save_given(engine: Engine, item: ListItem, given: GivenVerdict) -> None:
    """Commit a verdict on a list's film; `item` is that film as the list began."""
    with transaction(engine) as session:
        items = lists.items_of(session, item.list_id)
        is_read = any(one.label is not None for one in items if one.position == item.position)
        seen = is_read and (item.reveal or is_complete(items))
        verdicts.record_verdict(session, ReaderVerdict(score_visible=seen, **dict(given)), now=datetime.now(UTC))


def is_verdicts_csv(source: Path) -> bool:
    """Whether a file is one that a folder's page saved, by its first line."""
    if not source.is_file():
        return False
    with source.open("rb") as file:
        return file.readline(1000).decode("utf-8-sig", "replace").strip() == ",".join(_COLUMNS)


def name_list(session: Session, key: bytes, list_id: int) -> str | None:
    """A list as a folder names it: its number, and 16 hex digits that no other home, list or films have.

    They are the HMAC-SHA256 of its seed and films under the site key. None for a list that nobody has.
    """
    of = lists.find_list(session, list_id)
    if of is None:
        return None
    films = " ".join(item.sha256 for item in lists.items_of(session, list_id))
    told = f"reading list {list_id} {of.seed} {films}"
    return f"{list_id}-{hmac.new(key, told.encode(), hashlib.sha256).hexdigest()[:16]}"


def import_verdicts(settings: Settings, engine: Engine, source: Path) -> tuple[Counter[str], int]:
    """Take in a page's CSV, all rows or none, in their order; its rows by label, and how many were new.

    A row that was taken in before changes nothing. Raises InvalidLabelsCsv listing every bad row.
    """
    rows, problems = _read(source)
    labels, new, now = Counter(given.label.value for _, _, given in rows), 0, datetime.now(UTC)
    key = read_site_key(settings)
    with transaction(engine) as session:
        of = {given.list_id for _, _, given in rows}
        names = {list_id: name_list(session, key, list_id) for list_id in of}
        found = {list_id: lists.items_of(session, list_id) for list_id in of}
        for line, name, given in rows:
            items = found[given.list_id]
            if given.position not in {item.position for item in items}:
                problems.append(f"line {line}: list {given.list_id} of this home has no film {given.position}")
            elif name != names[given.list_id]:
                other = f"line {line}: list {name[:40]} is of other films"
                problems.append(f"{other}; expected the home that wrote its folder")
            elif not problems:
                # A folder reveals nothing, but what is read to its end is among the results.
                said = ReaderVerdict(score_visible=is_complete(items), **dict(given))
                new += verdicts.record_verdict(session, said, now=now, source="csv")
        if problems:
            raise InvalidLabelsCsv(source.name, problems)
        if new:
            digest, detail = hash_file(source)[:16], {"rows": len(rows), "new": new, **labels}
            audit.append(session, actor="reviewer", action="labels-imported", subject=digest, detail=detail, now=now)
    return labels, new


def _read(source: Path) -> tuple[list[tuple[int, str, GivenVerdict]], list[str]]:
    if source.stat().st_size > _LARGEST:
        raise InvalidLabelsCsv(source.name, [f"more than {_LARGEST // 2**20} MiB; expected a list's verdicts"])
    rows: list[tuple[int, str, GivenVerdict]] = []
    problems: list[str] = []
    text = io.StringIO(source.read_text(encoding="utf-8-sig", errors="replace"), newline="")
    for line, row in enumerate(csv.DictReader(text), start=2):
        cells = {name: value or None for name, value in row.items() if name}
        try:
            if None in row:
                raise ValueError("no row of a list's verdicts")
            name = cells.get("list") or ""
            rows.append((line, name, GivenVerdict.model_validate(cells | {"list": name.partition("-")[0]})))
        except ValidationError as error:
            names = ", ".join(sorted({str(part) for problem in error.errors() for part in problem["loc"][:1]}))
            problems.append(f"line {line}: {names or 'exclude_reason'} cannot be read; expected what the page wrote")
        except ValueError as error:
            problems.append(f"line {line}: {error}; expected what the page wrote")
    return rows, problems
