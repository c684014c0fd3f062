"""How far two readers agree: raw, Cohen's kappa and Gwet's AC1, each with an interval by patient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xray_core.evaluation.bootstrap import Floats
from xray_core.evaluation.intervals import percentile_interval, share_interval
from xray_core.records import Interval

# Below these nothing but the counts is shown: the interval of a figure would say more than the figure.
FEWEST_FILMS: Final = 20
FEWEST_PATIENTS: Final = 10
RESAMPLES: Final = 2000
SEED: Final = 20261128

Chance = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two readings of the same films, on one scale of words.

    `table` has a row for each word of the first reading and a column for each of the second, in the order of `words`.
    The figures are None below FEWEST_FILMS films or FEWEST_PATIENTS patients, or where they have no value: kappa and
    AC1 have none where both used one word alone.
    """

    words: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    films: int
    patients: int
    raw: Interval | None
    kappa: Interval | None
    ac1: Interval | None


def measure_agreement(
    first: Sequence[str], second: Sequence[str], patients: Sequence[str], words: Sequence[str]
) -> Agreement:
    """Agreement of two readings of the same films (n each, in one order), whose patients (n) are given by name.

    Every word is one of `words`, which are the whole scale, used or not. Raises ValueError on unequal lengths.
    """
    if not len(first) == len(second) == len(patients):
        raise ValueError(f"received {len(first)} and {len(second)} words of {len(patients)} films")
    names, whose = np.unique(np.asarray(patients, dtype=np.str_), return_inverse=True)
    size, place = len(words), {word: index for index, word in enumerate(words)}
    cells = np.asarray([place[a] * size + place[b] for a, b in zip(first, second, strict=True)], dtype=np.intp)
    by_patient = np.zeros((len(names), size * size))
    np.add.at(by_patient, (whose, cells), 1)
    whole = by_patient.sum(axis=0).reshape(size, size)
    counted = tuple(tuple(int(cell) for cell in row) for row in whole)
    if len(first) < FEWEST_FILMS or len(names) < FEWEST_PATIENTS:
        return Agreement(tuple(words), counted, len(first), len(names), None, None, None)
    tables = resample_tables(by_patient).reshape(RESAMPLES, size, size)
    value = float(raw_agreement(whole))
    raw = share_interval(value, raw_agreement(tables), patients=len(names), xrays=len(first))
    kappa, ac1 = (_measure(chance_of, whole, tables, raw) for chance_of in (chance_of_kappa, chance_of_ac1))
    return Agreement(tuple(words), counted, len(first), len(names), raw, kappa, ac1)


def resample_tables(by_patient: Floats) -> Floats:
    """Sums of the rows (patients, cells) over RESAMPLES draws of patients with replacement -> (RESAMPLES, cells).

    Patients with the same row are drawn together: how often a kind of row comes is multinomial, and there are few kinds
    however many patients.
    """
    rng = np.random.default_rng(SEED)
    kinds, numbers = np.unique(by_patient, axis=0, return_counts=True)
    drawn: Floats = rng.multinomial(len(by_patient), numbers / len(by_patient), size=RESAMPLES) @ kinds
    return drawn


def raw_agreement(tables: Floats) -> Floats:
    """The share of films on which both said the same word, of tables (..., q, q)."""
    shares: Floats = np.trace(tables, axis1=-2, axis2=-1) / tables.sum(axis=(-2, -1))
    return shares


def chance_of_kappa(tables: Floats) -> Floats:
    """What two readers with these shares of words would agree on by luck, of tables (..., q, q).

    Cohen, Educational and Psychological Measurement 1960;20:37-46. Kappa sinks where one word is rare, whatever the
    readers do (Zec and others, 2017).
    """
    shares = tables / tables.sum(axis=(-2, -1), keepdims=True)
    chance: Floats = (shares.sum(axis=-1) * shares.sum(axis=-2)).sum(axis=-1)
    return chance


def chance_of_ac1(tables: Floats) -> Floats:
    """Agreement by chance as Gwet has it, of tables (..., q, q), q of 2 or more words.

    The sum of p (1 - p) over the words, by q - 1; p is the mean share of a word in both readings (British Journal of
    Mathematical and Statistical Psychology 2008;61:29-48). AC1 does not sink where one word is rare.
    """
    shares = tables / tables.sum(axis=(-2, -1), keepdims=True)
    mean = (shares.sum(axis=-1) + shares.sum(axis=-2)) / 2
    chance: Floats = (mean * (1 - mean)).sum(axis=-1) / (tables.shape[-1] - 1)
    return chance


def correct_for_chance(raw: Floats, chance: Floats) -> Floats:
    """(raw - chance) / (1 - chance): 1 is agreement throughout, 0 what chance gives; NaN where chance is 1."""
    room: NDArray[np.float64] = np.asarray(1 - chance)
    quotients: Floats = np.full(np.shape(room), np.nan)
    return np.divide(raw - chance, room, out=quotients, where=room > 1e-12)


def _measure(chance_of: Chance, whole: Floats, tables: Floats, raw: Interval | None) -> Interval | None:
    """The coefficient with its percentile interval.

    Where all films agree every resample does, and its percentiles would claim certainty: the lower end is then what
    the lower end of the raw agreement gives, with the same agreement by chance.
    """
    chance = chance_of(whole)
    value = float(correct_for_chance(raw_agreement(whole), chance))
    if raw is not None and raw.value == 1 and np.isfinite(value):
        return Interval(value, float(correct_for_chance(np.asarray(raw.low), chance)), 1.0)
    return percentile_interval(value, correct_for_chance(raw_agreement(tables), chance_of(tables)))
