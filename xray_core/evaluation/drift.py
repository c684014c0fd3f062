"""Drift: have the incoming X-rays, or the scores, moved away from what the champion was trained on?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST_XRAYS = 30  # on either side; fewer compare nothing
ALPHA = 0.01  # for all comparisons together
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
    """Figures of fitted X-rays (n, height, width) uint8 for `find_drift`: brightness, contrast, darkest, brightest."""
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
    from scipy.stats import ks_2samp

    tested = ks_2samp(before.astype(np.float64), after.astype(np.float64))
    return float(tested.statistic), float(tested.pvalue)


def _compare_words(before: NDArray[np.str_], after: NDArray[np.str_]) -> tuple[float, float]:
    words = np.unique(np.concatenate((before, after)))
    if len(words) == 1:
        return 0.0, 1.0
    counts = np.array([[(side == word).sum() for word in words] for side in (before, after)])
    shares = counts / counts.sum(axis=1, keepdims=True)
    from scipy.stats import chi2_contingency

    return float(np.abs(shares[0] - shares[1]).sum() / 2), float(chi2_contingency(counts).pvalue)


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
