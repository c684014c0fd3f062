"""Logistic recalibration: two numbers that make P(covid) = 0.8 mean 8 in 10 where half of the X-rays are covid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

# The prior: intercept ~ Normal(0, 0.5), slope ~ Normal(1, 0.3). Before any X-ray is seen the odds are hardly ever off
# by more than a factor of three, and the scores seldom over 1.6 times as extreme, or 0.4 times, as they should be. Of
# those tried it lost least where nothing was wrong, and won as much as wider ones where something was (simulated sides
# of 30 to 46 X-rays). Its weight is that of a dozen X-rays, so that a few hundred outweigh it.
INTERCEPT_SD: Final = 0.5
SLOPE_SD: Final = 0.3
# A network that ranks validation X-rays backwards is made unsure, never turned round: the ranking is its own.
LOWEST_SLOPE: Final = 0.05

EVEN_MIX: Final = 0.5  # the share of covid in which a recalibrated score is the probability: each class weighs as much
_ENOUGH: Final = 0.5  # standard errors by which the log-loss must get better
_FOLDS: Final = 10

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Recalibration:
    """logit P'(covid) = intercept + slope x logit P(covid), chosen on so many X-rays; the slope is above 0.

    `gain` is how much lower the log-loss of an X-ray was with such a line, in patients that it was not fitted to, and
    `gain_error` its standard error; None where nobody asked.
    """

    intercept: float
    slope: float
    xrays: int
    gain: float | None = None
    gain_error: float | None = None

    @property
    def is_unchanged(self) -> bool:
        """Whether it leaves every score as it is."""
        return (self.intercept, self.slope) == (0.0, 1.0)

    def apply(self, log_odds: _Numbers) -> _Numbers:
        """Recalibrated P(covid) (n,) for the log-odds (n,) of a network."""
        from scipy.special import expit

        chances: _Numbers = expit(self.intercept + self.slope * log_odds)
        return chances

    def undo(self, log_odds: _Numbers) -> _Numbers:
        """P(covid) (n,) as it was before, for recalibrated log-odds (n,)."""
        from scipy.special import expit

        chances: _Numbers = expit((log_odds - self.intercept) / self.slope)
        return chances


UNCHANGED: Final = Recalibration(0.0, 1.0, 0)


def choose_recalibration(log_odds: _Numbers, is_covid: NDArray[np.bool_], patients: Sequence[str]) -> Recalibration:
    """The line of `fit_recalibration` where it helps, else the scores as they are.

    It helps where, cross-validated by patient, the log-loss with both classes weighing as much gets better by more than
    half a standard error. Two fitted numbers can only make a right score worse, and a few dozen X-rays fit them badly.
    """
    names, patient_of = np.unique(np.asarray(patients, dtype=np.str_), return_inverse=True)
    line = fit_recalibration(log_odds, is_covid)
    if line.is_unchanged or len(names) < 2:
        return line
    fold_of = _draw_folds(len(names), patient_of, is_covid)[patient_of]
    weights, gains = _balance(is_covid), np.zeros(len(log_odds))
    for fold in range(_FOLDS):
        judge = fold_of == fold
        fitted = fit_recalibration(log_odds[~judge], is_covid[~judge])
        gains[judge] = _log_loss(log_odds[judge], is_covid[judge]) - _log_loss(
            fitted.intercept + fitted.slope * log_odds[judge], is_covid[judge]
        )
    of_patient = np.bincount(patient_of, weights=weights * gains)
    gain = float(of_patient.sum() / len(log_odds))
    error = float(np.sqrt(len(names)) * of_patient.std(ddof=1) / len(log_odds))
    if gain <= _ENOUGH * error:
        line = Recalibration(0.0, 1.0, len(log_odds))
    return replace(line, gain=gain, gain_error=error)


def _draw_folds(patients: int, patient_of: NDArray[np.intp], is_covid: NDArray[np.bool_]) -> NDArray[np.intp]:
    """A fold for each patient, by chance, covid patients spread as evenly as the others."""
    has_covid = np.bincount(patient_of, weights=is_covid, minlength=patients) > 0
    order = np.lexsort((np.random.default_rng(0).random(patients), has_covid))
    folds = np.empty(patients, dtype=np.intp)
    folds[order] = np.arange(patients) % _FOLDS
    return folds


def _balance(is_covid: NDArray[np.bool_]) -> _Numbers:
    """A weight for each X-ray, 1 on average, so that both classes weigh as much as each other."""
    covid = int(is_covid.sum())
    weights: _Numbers = len(is_covid) / 2 / np.where(is_covid, covid, len(is_covid) - covid)
    return weights


def _log_loss(log_odds: _Numbers, is_covid: NDArray[np.bool_]) -> _Numbers:
    losses: _Numbers = np.logaddexp(0, np.where(is_covid, -log_odds, log_odds))
    return losses


def fit_recalibration(log_odds: _Numbers, is_covid: NDArray[np.bool_]) -> Recalibration:
    """Fit intercept and slope to validation X-rays: log-odds (n,) before the sigmoid, and the truth (n,).

    Both classes weigh as much as each other, so that the score is the probability in a 50:50 mix, whatever mix chance
    gave the side (King and Zeng, Political Analysis 2001;9:137-163). Cox, Biometrika 1958;45:562-565; Van Calster et
    al., BMC Medicine 2019;17:230. By penalised likelihood, with a normal prior around "leave it as it is" (0, 1):
    maximum likelihood has no answer where the scores separate the classes, which is common among few X-rays, and a bad
    one where they nearly do. With more X-rays it approaches maximum likelihood. Log-odds may be of any size, for they
    never pass through a sigmoid in float32, where 17 and 40 are both 1. Without X-rays of both classes nothing can be
    chosen: 0 and 1. Raises ValueError on unequal lengths or log-odds that are no numbers.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    if log_odds.shape != is_covid.shape or not np.isfinite(log_odds).all():
        raise ValueError(f"received log-odds {log_odds.shape} for {is_covid.shape} labels; expected as many, finite")
    if is_covid.all() or not is_covid.any():
        return Recalibration(0.0, 1.0, len(is_covid))
    sign, weights = np.where(is_covid, -1.0, 1.0), _balance(is_covid)

    def loss(line: _Numbers) -> tuple[float, _Numbers]:
        """Minus the log of likelihood x prior, and its gradient; convex, so what is found is the one minimum."""
        off = sign * (line[0] + line[1] * log_odds)
        push = weights * sign * expit(off)
        penalty = (line[0] / INTERCEPT_SD) ** 2 / 2 + ((line[1] - 1) / SLOPE_SD) ** 2 / 2
        slant = np.array([push.sum() + line[0] / INTERCEPT_SD**2, push @ log_odds + (line[1] - 1) / SLOPE_SD**2])
        return float((weights * np.logaddexp(0, off)).sum() + penalty), slant

    found = minimize(
        loss,
        np.array([0.0, 1.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None), (LOWEST_SLOPE, None)],
        options={"ftol": 1e-14, "gtol": 1e-9},
    )
    return Recalibration(float(found.x[0]), float(found.x[1]), len(is_covid))
