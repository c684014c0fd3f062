"""What was said of all films: fifty thousand labels, read as the hundred kinds that they are of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.bulk import read_rows
from xray_core.reading.records import LabelSource, ListPurpose, ListReason, Opinion, ReaderRole
from xray_core.records import Label


@dataclass(frozen=True, slots=True)
class SaidOfFilms:
    """Of every labelled X-ray, by its id: the places in `opinions` of what was said of it, oldest first.

    Two places may hold one opinion: of before the label that was asked for, and of after it.
    """

    opinions: tuple[Opinion, ...]
    films: Mapping[int, tuple[int, ...]]

    def count(self) -> dict[tuple[Opinion, ...], int]:
        """How many films the same was said of."""
        counted = Counter(self.films.values())
        told: Counter[tuple[Opinion, ...]] = Counter()
        for places, number in counted.items():
            told[tuple(self.opinions[place] for place in places)] += number
        return dict(told)


def read_said(session: Session, *, since: int) -> SaidOfFilms:
    """Every label row, whether it came after the one with the id `since` or before."""
    places: dict[tuple[Any, ...], int] = {}
    films: dict[int, tuple[int, ...]] = {}
    for part in read_rows(session, _SAID.bindparams(since=since)):
        for row in part:
            place = places.setdefault(row[1:], len(places))
            films[row[0]] = (*films.get(row[0], ()), place)
    return SaidOfFilms(tuple(_to_opinion(kind) for kind in places), films)


# In words, as all that may be read by the hundred thousand.
_SAID = text(
    "SELECT l.xray_id, l.reader, l.role, l.label, l.source, l.score_visible, l.sure, l.exclude_reason, o.purpose, "
    "i.reason, l.id > :since FROM labels l LEFT JOIN reading_list_items i ON i.id = l.list_item_id "
    "LEFT JOIN reading_lists o ON o.id = i.list_id ORDER BY l.id"
)


def _to_opinion(kind: tuple[Any, ...]) -> Opinion:
    reader, role, label, source, visible, sure, why, purpose, reason, _ = kind
    return Opinion(
        reader,
        ReaderRole(role),
        Label(label),
        LabelSource(source),
        None if visible is None else bool(visible),
        None if sure is None else bool(sure),
        why,
        purpose == ListPurpose.AGAIN,
        None if reason is None else ListReason(reason),
    )
