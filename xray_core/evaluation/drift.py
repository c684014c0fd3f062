"""Drift: have the incoming X-rays, or the scores, moved away from what the champion was trained on?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST_XRAYS = 30  # on either side; fewer compare nothing
ALPHA = 0.01  # for all comparisons together
_EXACT_UP_TO = 250_000  # pairs of X-rays: 0.1 s
_AT_A_TIME = 256  # X-rays
LEAST_SHIFT = 0.20  # a smaller shift is no reason to do anything, however surely it is there

Values = Sequence[float] | NDArray[np.floating] | Sequence[str]


@dataclass(frozen=True, slots=True)
class Shift:
    """How far one figure has moved: 0 not at all, 1 entirely (the largest gap between both distributions).

    `p_value` is corrected for the number of figures compared.
    """

    name: str
    size: float
    p_value: float
    has_moved: bool


@dataclass(frozen=True, slots=True)
class Drift:
    """What the comparison came to. With too few X-rays nothing has `moved`; the sentence says it cannot be told."""

    moved: bool
    sentence: str
    figures: tuple[Shift, ...]


def find_drift(reference: Mapping[str, Values], incoming: Mapping[str, Values]) -> Drift:
    """Compare figures of the X-rays that the champion was trained on with those that came in since.

    Each mapping gives, by name, one number (mean grey level, log of the width, P(covid)) or one word (file format,
    outcome) per X-ray; best one X-ray per patient, for X-rays of one patient are alike. Numbers are compared by
    the two-sample Kolmogorov-Smirnov test, words by the chi-squared test with the total variation distance as size.
    A figure has moved when its p-value is below 0.01 after Holm's correction (Scandinavian Journal of Statistics
    1979;6:65-70) and the shift is at least 0.20: with ten thousand X-rays everything differs, with thirty almost
    nothing can be told, and the two conditions guard against both. Raises ValueError when the names differ.
    """
    if reference.keys() != incoming.keys():
        raise ValueError(f"received {sorted(incoming)}; expected the figures {sorted(reference)}")
    fewest = min((len(values) for side in (reference, incoming) for values in side.values()), default=0)
    if fewest < FEWEST_XRAYS:
        return Drift(False, f"Too few X-rays to tell: {fewest}, {FEWEST_XRAYS} are needed on either side.", ())
    names = sorted(reference)
    sizes, p_values = zip(*(_compare(reference[name], incoming[name]) for name in names), strict=True)
    shifts = tuple(
        Shift(name, size, p_value, p_value < ALPHA and size >= LEAST_SHIFT)
        for name, size, p_value in zip(names, sizes, _correct(p_values), strict=True)
    )
    return Drift(any(shift.has_moved for shift in shifts), _say(shifts), shifts)


def summarise_greys(greys: NDArray[np.uint8]) -> dict[str, NDArray[np.floating]]:
    """Figures of fitted X-rays (n, height, width) uint8 for `find_drift`: brightness, contrast, darkest, brightest.

    Some at a time: as float64 they take eight times the memory.
    """
    starts = range(0, max(1, len(greys)), _AT_A_TIME)
    parts = [_summarise(greys[start : start + _AT_A_TIME]) for start in starts]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _summarise(greys: NDArray[np.uint8]) -> dict[str, NDArray[np.floating]]:
    flat = greys.reshape(len(greys), -1)
    dark, bright = np.percentile(flat, (5, 95), axis=1)
    return {
        "mean grey level": flat.mean(axis=1),
        "contrast": flat.std(axis=1),
        "darkest grey level": dark,
        "brightest grey level": bright,
    }


def _compare(reference: Values, incoming: Values) -> tuple[float, float]:
    """Size of the shift 0..1, and its p-value."""
    before, after = np.asarray(reference), np.asarray(incoming)
    if before.dtype.kind in "US":
        return _compare_words(before, after)
    return _compare_numbers(before.astype(np.float64), after.astype(np.float64))


def _compare_words(before: NDArray[np.str_], after: NDArray[np.str_]) -> tuple[float, float]:
    words = np.unique(np.concatenate((before, after)))
    if len(words) == 1:
        return 0.0, 1.0
    counts = np.array([[(side == word).sum() for word in words] for side in (before, after)])
    shares = counts / counts.sum(axis=1, keepdims=True)
    return float(np.abs(shares[0] - shares[1]).sum() / 2), _compare_counts(counts)


# Both tests without a library, for an installation that only scores.
def _compare_numbers(before: NDArray[np.floating], after: NDArray[np.floating]) -> tuple[float, float]:
    """Kolmogorov and Smirnov's statistic 0..1 of two samples of numbers, and its p-value.

    Exact where both samples are small; else the limit law's at Stephens' corrected argument (Stephens 1970, J R Stat
    Soc B 32:115-122; Press et al., Numerical Recipes, 14.3).
    """
    first, second = sorted((np.sort(before), np.sort(after)), key=len)
    both = np.concatenate((first, second))
    shares = [np.searchsorted(side, both, side="right") / len(side) for side in (first, second)]
    statistic = float(np.abs(shares[0] - shares[1]).max())
    if len(first) * len(second) <= _EXACT_UP_TO:
        return statistic, _exceed_smirnov(statistic, len(first), len(second))
    root = math.sqrt(len(first) * len(second) / len(both))
    return statistic, _exceed_kolmogorov((root + 0.12 + 0.11 / root) * statistic)


def _exceed_smirnov(statistic: float, few: int, many: int) -> float:
    """P(D >= statistic) of two samples without ties: paths on a lattice, counted (Hodges 1958, Ark Mat 3:469-486)."""
    within = (0.5 + math.floor(statistic * few * many - 1e-7)) / (few * many)
    paths = [float(j / many <= within) for j in range(many + 1)]
    for i in range(1, few + 1):
        weight, at = i / (i + many), i / few
        paths[0] = weight * paths[0] if at <= within else 0.0
        for j in range(1, many + 1):
            paths[j] = weight * paths[j] + paths[j - 1] if abs(at - j / many) <= within else 0.0
    return min(1.0, max(0.0, 1.0 - paths[many]))


def _compare_counts(counts: NDArray[np.integer]) -> float:
    """Pearson's p-value of a table (2, words) of counts, no column empty; with Yates' correction for two words."""
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / counts.sum()
    gap = np.abs(counts - expected)
    degrees = counts.shape[1] - 1
    if degrees == 1:
        gap = gap - np.minimum(0.5, gap)
    return _exceed_chi_squared(float((gap**2 / expected).sum()), degrees)


def _exceed_kolmogorov(argument: float) -> float:
    if argument < 0.2:  # the series converges slowly there, and its sum is 1 to nine places
        return 1.0
    terms = [2 * (-1) ** (k - 1) * math.exp(-2 * (k * argument) ** 2) for k in range(1, 101)]
    return min(1.0, max(0.0, math.fsum(terms)))


def _exceed_chi_squared(value: float, degrees: int) -> float:
    """The upper tail in closed form (Abramowitz and Stegun 26.4.4 and 26.4.5)."""
    half = value / 2
    if degrees % 2:
        terms = [half ** (k - 0.5) / math.gamma(k + 0.5) for k in range(1, (degrees - 1) // 2 + 1)]
        return math.erfc(math.sqrt(half)) + math.exp(-half) * math.fsum(terms)
    return math.exp(-half) * math.fsum(half**k / math.factorial(k) for k in range(degrees // 2))


def _correct(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction."""
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(np.argsort(p_values)):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - place)))
        corrected[index] = highest
    return corrected


def _say(shifts: Sequence[Shift]) -> str:
    moved = sorted((shift for shift in shifts if shift.has_moved), key=lambda shift: -shift.size)
    if not moved:
        largest = max(shifts, key=lambda shift: shift.size)
        return f"Nothing has moved: the largest shift is {largest.size:.2f} ({largest.name}), of 0 to 1."
    named = ", ".join(f"{shift.name} (shift {shift.size:.2f}, p {_write(shift.p_value)})" for shift in moved)
    return f"The incoming X-rays are not like those the champion was trained on: {named}."


def _write(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"= {p_value:.3f}"
