"""The operating point: two thresholds on P(covid) with a band between them that is referred to a reader."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xray_core.models.records import OperatingPoint
from xray_core.records import Split

_UNKNOWN = 0.5


def choose_operating_point(
    probabilities: Sequence[float] | NDArray[np.float64],
    is_covid: Sequence[bool] | NDArray[np.bool_],
    *,
    target_sensitivity: float = 0.95,
    target_specificity: float = 0.95,
) -> OperatingPoint:
    """Choose the thresholds on validation X-rays, and on no others.

    `lower` is as high as it can be while at most 1 - target_sensitivity of the covid X-rays fall below it: those
    would be called negative. `upper` is as low as it can be while at most 1 - target_specificity of the normal
    X-rays reach it: those would be called positive. Between them is referred. Where the two cross, every
    threshold between meets both targets, nothing needs referring, and the one that separates best is taken for
    both (the middle of its gap). Thresholds lie half-way between scores, so that a last digit changes no outcome.

    Kept are sensitivity and specificity at each of the two, every X-ray counted.
    With one class missing there is nothing to choose on: 0.5 for both and no figures. Raises ValueError on a
    probability outside 0..1.
    """
    scores, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(is_covid, dtype=np.bool_)
    if not (np.isfinite(scores).all() and (scores >= 0).all() and (scores <= 1).all()):
        raise ValueError("received a probability that is not a number in 0..1")
    covid, normal = np.sort(scores[truth]), np.sort(scores[~truth])
    if not len(covid) or not len(normal):
        return OperatingPoint(
            _UNKNOWN, _UNKNOWN, target_sensitivity, None, None, len(covid), len(normal), Split.VALIDATION
        )
    levels = np.unique(np.concatenate((scores, [0.0, 1.0])))
    lower = _below(covid[_allowed(len(covid), target_sensitivity)], levels)
    upper = _above(normal[len(normal) - 1 - _allowed(len(normal), target_specificity)], levels)
    if lower >= upper:
        lower = upper = _separate_best(covid, normal, levels, upper, lower)
    return OperatingPoint(
        lower=lower,
        upper=upper,
        target_sensitivity=target_sensitivity,
        sensitivity=float((covid >= lower).mean()),
        specificity=float((normal < upper).mean()),
        positives=len(covid),
        negatives=len(normal),
        chosen_on=Split.VALIDATION,
        specificity_at_lower=float((normal < lower).mean()),
        sensitivity_at_upper=float((covid >= upper).mean()),
    )


def _allowed(count: int, target: float) -> int:
    """How many of `count` may fall on the wrong side; the small addend undoes rounding such as 20 x (1 - 0.95) < 1."""
    return min(count - 1, math.floor(count * (1 - target) + 1e-9))


def _below(score: float, levels: NDArray[np.float64]) -> float:
    place = int(np.searchsorted(levels, score))
    return float((levels[max(0, place - 1)] + score) / 2)


def _above(score: float, levels: NDArray[np.float64]) -> float:
    place = int(np.searchsorted(levels, score))
    return float((levels[min(len(levels) - 1, place + 1)] + score) / 2)


def _separate_best(
    covid: NDArray[np.float64], normal: NDArray[np.float64], levels: NDArray[np.float64], low: float, high: float
) -> float:
    """The threshold in low..high with the largest sum of both shares (Youden 1950); of several, the most central."""
    middles = (levels[1:] + levels[:-1]) / 2
    candidates = np.append(middles[(middles >= low) & (middles <= high)], (low + high) / 2)
    kept = (len(covid) - np.searchsorted(covid, candidates)) / len(covid) + np.searchsorted(normal, candidates) / len(
        normal
    )
    best = candidates[kept >= kept.max() - 1e-12]
    return float(best[np.argmin(np.abs(best - best.mean()))])
