"""The operating point: two thresholds on P(covid), each with a promise that a simulation can check."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xray_core.models.recalibration import EVEN_MIX
from xray_core.models.records import NEVER_NEGATIVE, NEVER_POSITIVE, OperatingPoint, ThresholdRule
from xray_core.records import Split

# How far a threshold stands off the score that it is chosen by: ten times what a network and its twin may differ by.
_HAIR = 1e-4

_Scores = NDArray[np.float64]


def choose_operating_point(
    probabilities: Sequence[float] | _Scores,
    is_covid: Sequence[bool] | NDArray[np.bool_],
    patients: Sequence[str],
    *,
    target_sensitivity: float = 0.95,
    target_specificity: float = 0.95,
) -> OperatingPoint:
    """Choose the thresholds on validation X-rays, and on no others, by class-conditional split conformal prediction.

    A new X-ray could be covid if its score is no lower than `find_limit` of the covid X-rays, and normal if it is no
    higher than that of the normal ones. What could be covid alone is positive, normal alone negative, both refer; what
    could be neither is referred as like neither class (`is_gap`). So of a new patient's covid X-rays at most
    1 - `target_sensitivity` are called negative and of the normal ones at most 1 - `target_specificity` positive, on
    average over trainings, whatever the network, as long as films stay like those of the validation side. Sadinle, Lei
    and Wasserman, JASA 2019;114:223-234. A class with too few patients has no threshold, and nothing is ever called by
    it. Kept are sensitivity and specificity at each of the two, every X-ray counted. Raises ValueError on unequal
    lengths or a probability outside 0..1.
    """
    scores, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(is_covid, dtype=np.bool_)
    if not len(scores) == len(truth) == len(patients):
        raise ValueError(f"received {len(scores)} probabilities, {len(truth)} labels, {len(patients)} patients")
    if not (np.isfinite(scores).all() and (scores >= 0).all() and (scores <= 1).all()):
        raise ValueError("received a probability that is not a number in 0..1")
    names = np.asarray(patients, dtype=np.str_)
    lowest = find_limit(scores[truth], names[truth], 1 - target_sensitivity)
    highest = find_limit(1 - scores[~truth], names[~truth], 1 - target_specificity)
    covid_from = NEVER_NEGATIVE if lowest is None else _stand_off(lowest, scores)
    normal_below = NEVER_POSITIVE if not highest else 1 - _stand_off(highest, 1 - scores)  # none is above a score of 1
    lower, upper = sorted((covid_from, normal_below))
    return OperatingPoint(
        lower=lower,
        upper=upper,
        target_sensitivity=target_sensitivity,
        sensitivity=_share(scores[truth] >= lower),
        specificity=_share(scores[~truth] < upper),
        positives=int(truth.sum()),
        negatives=int((~truth).sum()),
        chosen_on=Split.VALIDATION,
        specificity_at_lower=_share(scores[~truth] < lower),
        sensitivity_at_upper=_share(scores[truth] >= upper),
        rule=ThresholdRule.CONFORMAL,
        is_gap=normal_below < covid_from,
        target_specificity=target_specificity,
        covid_patients=len(np.unique(names[truth])),
        normal_patients=len(np.unique(names[~truth])),
        mix=EVEN_MIX,
    )


def find_limit(scores: _Scores, patients: NDArray[np.str_], alpha: float) -> float | None:
    """The score that an X-ray of a new patient falls below with a chance of at most `alpha`, or None of too few.

    X-rays of one patient count as one together: each has the weight 1 / (X-rays of that patient), and the new patient
    stands among the n old ones, so that the weight below the limit plus 1 is at most alpha (n + 1). With an X-ray a
    patient it is the floor((n + 1) alpha)-th lowest score. Vovk, Gammerman and Shafer, Algorithmic Learning in a Random
    World, 2005; for patients Lee, Barber and Willett, Distribution-free inference with hierarchical data,
    arXiv:2306.06342. `scores` (n,) and `patients` (n,) are of one class.
    """
    _, patient_of, films = np.unique(patients, return_inverse=True, return_counts=True)
    spare = alpha * (len(films) + 1) - 1 + 1e-9  # the addend undoes rounding such as 20 x (1 - 0.95) < 1
    if spare < 0:
        return None
    order = np.argsort(scores)
    ranked, through = scores[order], np.cumsum((1 / films[patient_of])[order])
    below = np.append(0.0, through)[np.searchsorted(ranked, ranked, side="left")]
    return float(ranked[below <= spare].max())


def describe_thresholds(point: OperatingPoint) -> str:
    """Both thresholds in words, and what becomes of a side without one."""
    negative = f"negative below {point.lower:.4f}" if point.lower != NEVER_NEGATIVE else "nothing is called negative"
    positive = f"positive from {point.upper:.4f}" if point.upper != NEVER_POSITIVE else "nothing is called positive"
    between = "what lies between is like neither class: refer" if point.is_gap else "between them refer"
    if len(point.thresholds) < 2:
        return f"{negative}, {positive}, all else refer ({describe_lack(point)})"
    return f"{negative}, {positive}, {between}"


def describe_lack(point: OperatingPoint) -> str:
    """Why a threshold is missing, and the way out."""
    sides = (
        ("covid", point.covid_patients, point.target_sensitivity),
        ("normal", point.normal_patients, point.target_specificity),
    )
    few = [
        f"{patients} {name} patients on the validation side, {count_needed(target)} are needed"
        for name, patients, target in sides
        if patients is not None and target is not None and patients < count_needed(target)
    ]
    return f"cannot be told: {'; '.join(few) or 'a score there is 0 or 1, and none lies beyond it'}"


def describe_promise(point: OperatingPoint) -> str:
    """What the thresholds promise of new X-rays, and for how long; that they promise nothing where that is so."""
    if point.chosen_on is None:
        return "none: nobody has chosen these thresholds here"
    if point.rule is not ThresholdRule.CONFORMAL:
        return "none: these thresholds were right on the X-rays that they were chosen on, and miss more of new ones"
    sides = (
        ("covid", point.target_sensitivity, "negative", point.lower == NEVER_NEGATIVE),
        ("normal", point.target_specificity, "positive", point.upper == NEVER_POSITIVE),
    )
    # Of scores that were cross-validated it is no theorem: each came from a slightly different network.
    least = "at least" if point.chosen_on is Split.VALIDATION else "about"
    promised = [
        f"nothing is called {wrong}" if never else f"{least} {target:.0%} of new {name} X-rays are not called {wrong}"
        for name, target, wrong, never in sides
        if target is not None
    ]
    until = ", on average over trainings, until the films change" if point.thresholds else ""
    return f"{' and '.join(promised)}{until}"


def count_needed(target: float) -> int:
    """How many patients of a class a threshold with a promise of `target` (0..1) needs: 19 for 0.95."""
    return math.ceil(1 / (1 - target) - 1 - 1e-9)


def _stand_off(limit: float, scores: _Scores) -> float:
    """A little below the limit, and at most half-way to the next lower score: a last digit changes no outcome."""
    lower = scores[scores < limit]
    return limit - min(_HAIR, (limit - (float(lower.max()) if len(lower) else 0.0)) / 2)


def _share(chosen: NDArray[np.bool_]) -> float | None:
    return float(chosen.mean()) if len(chosen) else None
