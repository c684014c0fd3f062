"""The two readers who have most films in common: what a status tells of how far readers agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from xray_core.reading.agreement import Agreement
from xray_core.reading.readers_report import find_blind, measure_words
from xray_core.reading.records import Reading


@dataclass(frozen=True, slots=True)
class MostRead:
    """The pair of readers that has read most films together, of so many pairs."""

    first: str
    second: str
    words: Agreement
    pairs: int


def find_most_read(readings: Sequence[Reading], names: Mapping[str, str]) -> MostRead | None:
    """What a status says of the readers: one pair is measured, not all of them. None where no two read one film."""
    blind = find_blind(readings)
    shared = {(a, b): blind[a].keys() & blind[b].keys() for a, b in combinations(sorted(blind), 2)}
    pairs = {pair: films for pair, films in shared.items() if films}
    if not pairs:
        return None
    a, b = max(pairs, key=lambda pair: len(pairs[pair]))
    return MostRead(names.get(a, a), names.get(b, b), measure_words(blind[a], blind[b]), len(pairs))
