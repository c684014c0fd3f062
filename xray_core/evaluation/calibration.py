"""Does P(covid) = 0.8 mean 8 in 10? Calibration slope, intercept, expected error and the points of the curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from xray_core.evaluation.bootstrap import Cohort, Floats, Statistic, Weights
from xray_core.evaluation.statistics import sum_by_patient

_EDGE = 1e-6  # a score of exactly 0 or 1 has no log-odds
_BINS = 10
_UNBOUNDED = 50.0


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """One point of the calibration curve: X-rays with similar scores, their mean score and their share of covid."""

    mean_probability: float
    share_covid: float
    xrays: int


def calibration_slope(cohort: Cohort) -> Statistic:
    """Slope of the truth on the log-odds of the score: 1 is right, below 1 the scores are too extreme (overfitted).

    Cox, Biometrika 1958;45:562-565. NaN where the scores separate the classes completely: no slope exists then.
    """
    odds, truth = _log_odds(cohort), cohort.is_covid.astype(np.float64)
    start = _fit_line(np.ones((1, len(truth))), odds, truth, np.zeros((1, 2)), steps=50)[0]

    def statistic(weights: Weights) -> Floats:
        drawn = np.take(weights, cohort.patient_of, axis=1).astype(np.float64)
        return _fit_line(drawn, odds, truth, np.tile(start, (len(drawn), 1)), steps=5)[:, 1]

    return statistic


def calibration_intercept(cohort: Cohort) -> Statistic:
    """How far the log-odds are off on average (slope held at 1): above 0 the scores are too low, below 0 too high.

    Calibration in the large; Van Calster et al., BMC Medicine 2019;17:230. NaN with one class.
    """
    odds, truth = _log_odds(cohort), cohort.is_covid.astype(np.float64)
    start = _fit_intercept(np.ones((1, len(truth))), odds, truth, np.zeros(1), steps=50)[0]

    def statistic(weights: Weights) -> Floats:
        drawn = np.take(weights, cohort.patient_of, axis=1).astype(np.float64)
        return _fit_intercept(drawn, odds, truth, np.full(len(drawn), start), steps=5)

    return statistic


def expected_calibration_error(cohort: Cohort) -> Statistic:
    """Mean distance between score and share of covid over ten equally wide bins (Naeini et al., AAAI 2015).

    It cannot be negative, so in a small set it is above zero even for a perfectly calibrated model.
    """
    bins = _bin_of(cohort.probabilities)
    gaps = np.stack(
        [sum_by_patient(cohort, (bins == b) * (cohort.probabilities - cohort.is_covid)) for b in range(_BINS)]
    )
    xrays = sum_by_patient(cohort, np.ones(len(bins)))

    def statistic(weights: Weights) -> Floats:
        errors: Floats = np.abs(weights @ gaps.T).sum(axis=1) / (weights @ xrays)
        return errors

    return statistic


def calibration_curve(cohort: Cohort) -> tuple[CalibrationBin, ...]:
    """The points of the calibration plot over ten equally wide bins, empty ones left out."""
    bins = _bin_of(cohort.probabilities)
    return tuple(
        CalibrationBin(
            mean_probability=float(cohort.probabilities[bins == b].mean()),
            share_covid=float(cohort.is_covid[bins == b].mean()),
            xrays=int((bins == b).sum()),
        )
        for b in range(_BINS)
        if (bins == b).any()
    )


def _log_odds(cohort: Cohort) -> Floats:
    chance = cohort.probabilities.clip(_EDGE, 1 - _EDGE)
    odds: Floats = np.log(chance / (1 - chance))
    return odds


def _bin_of(probabilities: Floats) -> NDArray[np.int64]:
    return np.minimum((probabilities * _BINS).astype(np.int64), _BINS - 1)


def _fit_line(weights: Floats, odds: Floats, truth: Floats, start: Floats, *, steps: int) -> Floats:
    """Weighted logistic regression of truth (n,) on odds (n,), one fit for each row of weights -> (fits, 2), by Newton.

    scikit-learn fits one at a time; two coefficients for two thousand resamples are a 2 x 2 system each.
    """
    intercept, slope = start[:, 0].copy(), start[:, 1].copy()
    moved = np.full(len(start), np.inf)
    with np.errstate(all="ignore"):
        for _ in range(steps):
            chance = expit(intercept[:, np.newaxis] + slope[:, np.newaxis] * odds)
            error = weights * (truth - chance)
            spread = weights * chance * (1 - chance)
            g0, g1 = error.sum(axis=1), error @ odds
            h00, h01, h11 = spread.sum(axis=1), spread @ odds, spread @ odds**2
            determinant = h00 * h11 - h01**2
            rise = (h00 * g1 - h01 * g0) / determinant
            intercept += (h11 * g0 - h01 * g1) / determinant
            slope += rise
            moved = np.abs(rise)
        settled = (moved < 0.01 * (1 + np.abs(slope))) & (np.abs(slope) < _UNBOUNDED)
    return np.where(settled[:, np.newaxis], np.stack((intercept, slope), axis=1), np.nan)


def _fit_intercept(weights: Floats, odds: Floats, truth: Floats, start: Floats, *, steps: int) -> Floats:
    intercept = start.copy()
    moved = np.full(len(start), np.inf)
    with np.errstate(all="ignore"):
        for _ in range(steps):
            chance = expit(intercept[:, np.newaxis] + odds)
            moved = (weights * (truth - chance)).sum(axis=1) / (weights * chance * (1 - chance)).sum(axis=1)
            moved = moved.clip(-2, 2)
            intercept += moved
    return np.where((np.abs(moved) < 0.01) & (np.abs(intercept) < _UNBOUNDED), intercept, np.nan)
