"""What the readings of a home say of its readers: how far they agree, with each other, with themselves, with the model.

Only blind verdicts count for agreement: the last one of a reader on a film before any score was shown, never a repeat,
never a second round after a dispute.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from xray_core.evaluation.bootstrap import Floats
from xray_core.evaluation.intervals import difference_interval, percentile_interval, share_interval, wilson
from xray_core.reading.agreement import FEWEST_FILMS, FEWEST_PATIENTS, Agreement, measure_agreement, resample_tables
from xray_core.reading.records import ListPurpose, ListReason, ReaderRole, Reading
from xray_core.reading.reveal_effect import RevealEffect, measure_reveal_effect, says_covid
from xray_core.records import Interval, Label, Outcome

WORDS: Final = (Label.COVID, Label.NORMAL, Label.OTHER, Label.UNSURE, Label.EXCLUDE)
COVID_OR_NOT: Final = ("covid", "not covid")

# The blind verdicts: of each reader (by the folded name) on each film (by its X-ray's id).
Blind = Mapping[str, Mapping[int, Reading]]


@dataclass(frozen=True, slots=True)
class Third:
    """A third of the lists: how many films were read there, and the share that was called covid, None if too few."""

    films: int
    covid: int
    share: Interval | None


@dataclass(frozen=True, slots=True)
class ReaderFigures:
    """One reader: films read blind, seconds to the first verdict (quartiles), repeats, covid by third of a list."""

    reader: str
    films: int
    seconds: tuple[float, float, float] | None
    repeats: Agreement
    thirds: tuple[Third, Third, Third]


@dataclass(frozen=True, slots=True)
class ModelBeside:
    """The model beside two readers, on films that both read blind, that it decided on and never learned from.

    `model` is how often it says what the films were settled as (both readers agree, or an adjudicator said), covid or
    not; `readers` how often these two agree; `difference` is the first minus the second. `referred` films are left out.
    """

    films: int
    settled: int
    referred: int
    model: Interval | None
    readers: Interval | None
    difference: Interval | None


@dataclass(frozen=True, slots=True)
class PairFigures:
    """Two readers: agreement in all words, and on covid or not where both called the film the one or the other."""

    first: str
    second: str
    words: Agreement
    covid: Agreement
    model: ModelBeside


@dataclass(frozen=True, slots=True)
class ReadersReport:
    """Everything that is reported of the readers; `settled` says how many films are settled in which way.

    Left out are `seen` verdicts, which were given with the score in view, and `unknown_sight` ones, of which nobody
    wrote down whether it was.
    """

    settled: Mapping[str, int]
    readers: tuple[ReaderFigures, ...]
    pairs: tuple[PairFigures, ...]
    reveal: RevealEffect
    unknown_sight: int
    seen: int


def make_readers_report(
    readings: Sequence[Reading], names: Mapping[str, str], settled: Mapping[str, int], model: Mapping[int, Outcome]
) -> ReadersReport:
    """The report of all readings, oldest first.

    `names` gives each folded name as it was first written; `model` what the champion says of the films that no training
    learned from.
    """
    blind = find_blind(readings)
    adjudicated = {one.xray_id: one.label for one in readings if one.role is ReaderRole.ADJUDICATOR}
    return ReadersReport(
        settled=settled,
        readers=tuple(
            _describe(names.get(reader, reader), reader, blind[reader], readings) for reader in sorted(blind)
        ),
        pairs=tuple(
            _compare((names.get(a, a), names.get(b, b)), blind[a], blind[b], adjudicated, model)
            for a, b in combinations(sorted(blind), 2)
            if blind[a].keys() & blind[b].keys()
        ),
        reveal=measure_reveal_effect(readings, blind, adjudicated),
        unknown_sight=sum(one.score_visible is None for one in readings),
        seen=sum(one.score_visible is True for one in readings),
    )


def find_blind(readings: Sequence[Reading]) -> dict[str, dict[int, Reading]]:
    """The blind verdict of each reader on each film: the newest that no score preceded, in the first reading of it."""
    found: defaultdict[str, dict[int, Reading]] = defaultdict(dict)
    for one in readings:
        if _is_blind(one) and one.reason is not ListReason.REPEAT:
            found[one.reader][one.xray_id] = one
    return dict(found)


def _is_blind(one: Reading) -> bool:
    return one.role is ReaderRole.READER and one.score_visible is False and one.purpose is not ListPurpose.AGAIN


def _describe(name: str, reader: str, films: Mapping[int, Reading], readings: Sequence[Reading]) -> ReaderFigures:
    own = [one for one in readings if one.reader == reader and _is_blind(one)]
    again = {one.xray_id: one for one in own if one.reason is ListReason.REPEAT and one.xray_id in films}
    repeats = measure_agreement(
        [films[xray_id].label for xray_id in again],
        [one.label for one in again.values()],
        [one.group for one in again.values()],
        WORDS,
    )
    return ReaderFigures(name, len(films), _quartiles(own), repeats, _by_third(films))


def _quartiles(own: Sequence[Reading]) -> tuple[float, float, float] | None:
    """Quartiles of the seconds to the first verdict on each film of a list; None for too few films."""
    first: dict[int, float] = {}
    for one in own:
        if one.item_id is not None and one.seconds is not None:
            first.setdefault(one.item_id, one.seconds)
    if len(first) < FEWEST_FILMS:
        return None
    low, middle, high = np.quantile(list(first.values()), (0.25, 0.5, 0.75))
    return float(low), float(middle), float(high)


def _by_third(films: Mapping[int, Reading]) -> tuple[Third, Third, Third]:
    """Whether covid is called less often late in a list (Abbey 2020, SPIE 11316): lists have an order of chance."""
    thirds: list[list[bool]] = [[], [], []]
    for one in films.values():
        if one.position is not None and one.list_size is not None and one.list_size >= len(thirds):
            thirds[(one.position - 1) * 3 // one.list_size].append(one.label is Label.COVID)
    first, second, third = (_count(called) for called in thirds)
    return first, second, third


def _count(called: Sequence[bool]) -> Third:
    if len(called) < FEWEST_FILMS:
        return Third(len(called), sum(called), None)
    share = sum(called) / len(called)
    return Third(len(called), sum(called), Interval(share, *wilson(share, len(called))))


def _compare(
    names: tuple[str, str],
    first: Mapping[int, Reading],
    second: Mapping[int, Reading],
    adjudicated: Mapping[int, Label],
    model: Mapping[int, Outcome],
) -> PairFigures:
    both = sorted(first.keys() & second.keys())
    decided = [
        xray_id for xray_id in both if None not in (says_covid(first[xray_id].label), says_covid(second[xray_id].label))
    ]
    groups = {xray_id: first[xray_id].group for xray_id in both}
    of_first, of_second = (
        [COVID_OR_NOT[not says_covid(part[xray_id].label)] for xray_id in decided] for part in (first, second)
    )
    return PairFigures(
        *names,
        words=measure_words(first, second),
        covid=measure_agreement(of_first, of_second, [groups[xray_id] for xray_id in decided], COVID_OR_NOT),
        model=_place_model([(first[xray_id], second[xray_id]) for xray_id in decided], adjudicated, model),
    )


def measure_words(first: Mapping[int, Reading], second: Mapping[int, Reading]) -> Agreement:
    """How far two readers agree in all words, on the films that both have read."""
    both = sorted(first.keys() & second.keys())
    return measure_agreement(
        [first[xray_id].label for xray_id in both],
        [second[xray_id].label for xray_id in both],
        [first[xray_id].group for xray_id in both],
        WORDS,
    )


def _place_model(
    pairs: Sequence[tuple[Reading, Reading]], adjudicated: Mapping[int, Label], model: Mapping[int, Outcome]
) -> ModelBeside:
    """The model's agreement with what films were settled as, minus that of the readers with each other.

    Both on the same films, resampled together by patient: what is hard for readers is hard for the model.
    """
    known = [(a, b) for a, b in pairs if a.xray_id in model]
    films = [(a, b) for a, b in known if model[a.xray_id] is not Outcome.REFER]
    groups, whose = np.unique([a.group for a, _ in films], return_inverse=True)
    counts = np.zeros((len(groups), 4))  # films, both agree, settled, the model says what they were settled as
    for patient, (a, b) in zip(whose, films, strict=True):
        agree = says_covid(a.label) is says_covid(b.label)
        truth = says_covid(a.label) if agree else says_covid(adjudicated.get(a.xray_id))
        counts[patient] += (1, agree, truth is not None, truth is (model[a.xray_id] is Outcome.POSITIVE))
    total = counts.sum(axis=0)
    referred = len(known) - len(films)
    if total[2] < FEWEST_FILMS or len(groups) < FEWEST_PATIENTS:
        return ModelBeside(len(films), int(total[2]), referred, None, None, None)
    drawn = resample_tables(counts)
    readers, of_model = drawn[:, 1] / drawn[:, 0], drawn[:, 3] / np.maximum(drawn[:, 2], 1)
    value = (float(total[3] / total[2]), float(total[1] / total[0]))
    beside = share_interval(value[0], of_model, patients=len(groups), xrays=int(total[2]))
    between = share_interval(value[1], readers, patients=len(groups), xrays=int(total[0]))
    return ModelBeside(
        len(films), int(total[2]), referred, beside, between, _difference(beside, between, of_model - readers)
    )


def _difference(model: Interval | None, readers: Interval | None, drawn: Floats) -> Interval | None:
    """In pairs; where one of both does not vary, from the intervals of each, which is wider."""
    if model is None or readers is None:
        return None
    if 0 < model.value < 1 and 0 < readers.value < 1:
        return percentile_interval(model.value - readers.value, drawn)
    return difference_interval(model, readers, first_weight=1, second_weight=1)
