"""What several readers said of a film, settled; derived each time it is asked, never stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from xray_core.reading.records import ReaderRole, fold_name
from xray_core.records import Label


class Settlement(StrEnum):
    """How far a film's label is settled."""

    AGREED = "agreed"
    SINGLE = "single"
    DISPUTED = "disputed"
    ADJUDICATED = "adjudicated"


def settle(opinions: Iterable[tuple[str | None, ReaderRole, Label]]) -> Settlement:
    """How far the opinions on one film settle it, oldest first; each is a reader's name, role and label.

    The newest of each reader counts, whatever the case and blanks of the name; those without a name are one reader,
    as they were before readers had names. An adjudicator has the last word. Raises ValueError without an opinion.
    """
    newest: dict[str, Label] = {}
    for reader, role, label in opinions:
        if role is ReaderRole.ADJUDICATOR:
            return Settlement.ADJUDICATED
        newest[fold_name(reader or "")] = label
    if not newest:
        raise ValueError("received no opinion; expected at least one")
    if len(newest) == 1:
        return Settlement.SINGLE
    return Settlement.AGREED if len(set(newest.values())) == 1 else Settlement.DISPUTED


def count_settlements(films: Mapping[int, Iterable[tuple[str | None, ReaderRole, Label]]]) -> dict[str, int]:
    """How many films are settled in which way; every way has its number."""
    counts = {settlement.value: 0 for settlement in Settlement}
    for opinions in films.values():
        counts[settle(opinions).value] += 1
    return counts
