"""Statistics of a classifier: functions of patient weights, so that one pass over the resamples serves all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from xray_core.evaluation.bootstrap import Cohort, Floats, Statistic, Weights


def auroc(cohort: Cohort) -> Statistic:
    """The chance that a covid X-ray scores higher than a normal one, ties counting half; NaN with one class.

    It says how well the model ranks and nothing about a threshold. Weighted Mann-Whitney form (Hanley & McNeil,
    Radiology 1982;143:29-36): scikit-learn has it with weights, but one resample at a time.
    """
    return auroc_within(cohort, np.zeros(len(cohort.is_covid), dtype=np.intp))


def auroc_within(cohort: Cohort, strata: NDArray[np.intp]) -> Statistic:
    """The same over pairs of one stratum only, `strata` (n,); every pair counts alike. NaN without such a pair."""
    counts = [_count_wins(cohort, np.flatnonzero(strata == stratum)) for stratum in np.unique(strata)]

    def statistic(weights: Weights) -> Floats:
        wins, pairs = np.zeros(len(weights)), np.zeros(len(weights))
        for count in counts:
            more_wins, more_pairs = count(weights)
            wins, pairs = wins + more_wins, pairs + more_pairs
        return _divide(wins, pairs)

    return statistic


def _count_wins(cohort: Cohort, chosen: NDArray[np.intp]) -> Callable[[Weights], tuple[Floats, Floats]]:
    """How many pairs of the chosen X-rays are in the right order, and how many there are, for each resample."""
    order, first, last = _rank(cohort.probabilities[chosen])
    truth = cohort.is_covid[chosen][order]
    columns = cohort.patient_of[chosen][order]
    below, through = first[truth], last[truth] + 1

    def count(weights: Weights) -> tuple[Floats, Floats]:
        drawn = np.take(weights, columns, axis=1)
        normal = _running_sum(np.where(truth, np.float32(0), drawn))
        covid = drawn[:, truth]
        wins = (covid * (normal[:, below] + normal[:, through]) / 2).sum(axis=1, dtype=np.float64)
        return wins, covid.sum(axis=1, dtype=np.float64) * normal[:, -1]

    return count


def average_precision(cohort: Cohort) -> Statistic:
    """Area under the precision-recall curve as average precision, as scikit-learn's `average_precision_score`.

    It depends on the share of covid among these X-rays: read it against that share, not against 0.5.
    """
    order, first, _ = _rank(cohort.probabilities)
    truth = cohort.is_covid[order]
    columns = cohort.patient_of[order]
    starts = np.unique(first)

    def statistic(weights: Weights) -> Floats:
        drawn = np.take(weights, columns, axis=1)
        covid = _running_sum(np.where(truth, drawn, np.float32(0))).astype(np.float64)
        every = _running_sum(drawn).astype(np.float64)
        hits = covid[:, -1:] - covid[:, starts]
        precision = _divide(hits, every[:, -1:] - every[:, starts])
        gained = hits - np.append(hits[:, 1:], np.zeros((len(hits), 1)), axis=1)
        return _divide((gained * np.nan_to_num(precision)).sum(axis=1), covid[:, -1])

    return statistic


def share(cohort: Cohort, chosen: NDArray[np.bool_], among: NDArray[np.bool_]) -> Statistic:
    """How many of the X-rays `among` (n,) bool are `chosen` (n,) bool, as a share 0..1."""
    return mean(cohort, chosen.astype(np.float64), among)


def mean(cohort: Cohort, values: Floats, among: NDArray[np.bool_]) -> Statistic:
    """The mean of `values` (n,) over the X-rays `among` (n,) bool."""
    sums = sum_by_patient(cohort, np.where(among, values, 0.0))
    counts = sum_by_patient(cohort, among.astype(np.float64))

    def statistic(weights: Weights) -> Floats:
        return _divide(weights @ sums, weights @ counts)

    return statistic


def f1(cohort: Cohort, is_positive: NDArray[np.bool_]) -> Statistic:
    """Harmonic mean of precision and of the share of covid X-rays that are called positive."""
    hits = sum_by_patient(cohort, (is_positive & cohort.is_covid).astype(np.float64))
    called = sum_by_patient(cohort, is_positive.astype(np.float64) + cohort.is_covid)

    def statistic(weights: Weights) -> Floats:
        return _divide(2 * (weights @ hits), weights @ called)

    return statistic


def brier(cohort: Cohort) -> Statistic:
    """Mean squared distance of P(covid) from the truth: 0 is perfect, 0.25 is what 0.5 for everybody gets."""
    return mean(cohort, (cohort.probabilities - cohort.is_covid) ** 2, np.ones(len(cohort.is_covid), dtype=np.bool_))


def net_benefit(cohort: Cohort, threshold: float, prevalence: float) -> Statistic:
    """Covid found, less false alarms weighed by the odds of the threshold, for each X-ray read, at a stated prevalence.

    NB = prevalence x sensitivity - (1 - prevalence) x (1 - specificity) x threshold / (1 - threshold). Vickers & Elkin,
    Medical Decision Making 2006;26:565-574; with a stated prevalence because the mix of a dataset says nothing of it.
    Odd X-rays are referred whatever their score, and are not flagged.
    """
    flagged = (cohort.probabilities >= threshold) & ~cohort.is_odd
    hits, alarms = share(cohort, flagged, cohort.is_covid), share(cohort, flagged, ~cohort.is_covid)

    def statistic(weights: Weights) -> Floats:
        return prevalence * hits(weights) - (1 - prevalence) * alarms(weights) * threshold / (1 - threshold)

    return statistic


def sum_by_patient(cohort: Cohort, values: Floats) -> Floats:
    """Sum values (n,) over the X-rays of each patient -> (patients,)."""
    sums: Floats = np.bincount(cohort.patient_of, weights=values, minlength=cohort.patients).astype(np.float64)
    return sums


def _rank(scores: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Ascending order, and for each place in it the first and last place with the same score."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    first = np.searchsorted(ranked, ranked, side="left")
    last = np.searchsorted(ranked, ranked, side="right") - 1
    return order, first, last


def _running_sum(values: Weights) -> Weights:
    """Sums before each column, (resamples, n + 1). Whole numbers below 2**24: float32 holds them exactly."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1), dtype=np.float32)
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums


def _divide(above: Floats, below: Floats) -> Floats:
    quotients: Floats = np.full(np.broadcast(above, below).shape, np.nan)
    return np.divide(above, below, out=quotients, where=below != 0)
