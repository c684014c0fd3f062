"""The two readers who have most films in common: what a status tells of how far readers agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from xray_core.reading.agreement import Agreement, measure_agreement
from xray_core.reading.readers_report import WORDS
from xray_core.reading.records import LabelSource, ListReason, Opinion, ReaderRole, fold_name
from xray_core.records import Label


@dataclass(frozen=True, slots=True)
class MostRead:
    """The pair of readers that has read most films together, of so many pairs."""

    first: str
    second: str
    words: Agreement
    pairs: int


@dataclass(frozen=True, slots=True)
class SharedFilms:
    """The same pair by the folded names, and what each of both said of the films (X-ray ids) that both have read."""

    first: str
    second: str
    words: Mapping[int, tuple[Label, Label]]
    pairs: int


def find_shared(opinions: Sequence[Opinion], films: Mapping[int, Sequence[int]]) -> SharedFilms | None:
    """Whose films are most in common, by the places in `opinions` of what was said of each film, oldest first.

    The blind verdict of a reader on a film counts, as in `readers_report.find_blind`. None where no two read one film.
    """
    blind: defaultdict[str, dict[int, Label]] = defaultdict(dict)
    fold = cache(fold_name)
    said = [(fold(one.reader or ""), one.label) if _is_blind(one) else None for one in opinions]
    for xray_id, places in films.items():
        for place in places:
            if (one := said[place]) is not None:
                blind[one[0]][xray_id] = one[1]
    shared = {(a, b): blind[a].keys() & blind[b].keys() for a, b in combinations(sorted(blind), 2)}
    pairs = {pair: both for pair, both in shared.items() if both}
    if not pairs:
        return None
    a, b = max(pairs, key=lambda pair: len(pairs[pair]))
    return SharedFilms(a, b, {xray_id: (blind[a][xray_id], blind[b][xray_id]) for xray_id in pairs[a, b]}, len(pairs))


def measure_most_read(shared: SharedFilms, groups: Mapping[int, str], names: Mapping[str, str]) -> MostRead:
    """How far the two agree in all words; `groups` has each film's patient, `names` the readers' as first written."""
    both = sorted(shared.words)
    words = measure_agreement(
        [shared.words[xray_id][0] for xray_id in both],
        [shared.words[xray_id][1] for xray_id in both],
        [groups[xray_id] for xray_id in both],
        WORDS,
    )
    a, b = shared.first, shared.second
    return MostRead(names.get(a, a), names.get(b, b), words, shared.pairs)


def _is_blind(one: Opinion) -> bool:
    is_reading = one.role is ReaderRole.READER and one.reader is not None and one.source is not LabelSource.DATASET
    is_first = not one.again and one.chosen_for is not ListReason.REPEAT
    return is_reading and is_first and one.score_visible is False
