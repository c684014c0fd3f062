"""Logistic recalibration: two numbers, chosen on validation X-rays, that make P(covid) = 0.8 mean 8 in 10."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

# The prior: intercept ~ Normal(0, 1), slope ~ Normal(1, 0.5). Before any X-ray is seen the odds are hardly ever off by
# more than a factor of seven, and the scores hardly ever twice as extreme, or half as extreme, as they should be.
# Its weight is that of a handful of X-rays, so that a few hundred outweigh it.
INTERCEPT_SD: Final = 1.0
SLOPE_SD: Final = 0.5
# A network that ranks validation X-rays backwards is made unsure, never turned round: the ranking is its own.
LOWEST_SLOPE: Final = 0.05

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Recalibration:
    """logit P'(covid) = intercept + slope x logit P(covid), chosen on so many X-rays; the slope is above 0."""

    intercept: float
    slope: float
    xrays: int

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


def fit_recalibration(log_odds: _Numbers, is_covid: NDArray[np.bool_]) -> Recalibration:
    """Fit intercept and slope to validation X-rays: log-odds (n,) before the sigmoid, and the truth (n,).

    Cox, Biometrika 1958;45:562-565; Van Calster et al., BMC Medicine 2019;17:230. By penalised likelihood, with a
    normal prior around "leave it as it is" (0, 1): maximum likelihood has no answer where the scores separate the
    classes, which is common among few X-rays, and a bad one where they nearly do. With more X-rays it
    approaches maximum likelihood. Log-odds may be of any size, for they never pass through a sigmoid in float32,
    where 17 and 40 are both 1. Without X-rays of both classes nothing can be chosen: 0 and 1. Raises ValueError on
    unequal lengths or log-odds that are no numbers.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    if log_odds.shape != is_covid.shape or not np.isfinite(log_odds).all():
        raise ValueError(f"received log-odds {log_odds.shape} for {is_covid.shape} labels; expected as many, finite")
    if is_covid.all() or not is_covid.any():
        return Recalibration(0.0, 1.0, len(is_covid))
    sign = np.where(is_covid, -1.0, 1.0)

    def loss(line: _Numbers) -> tuple[float, _Numbers]:
        """Minus the log of likelihood x prior, and its gradient; convex, so what is found is the one minimum."""
        off = sign * (line[0] + line[1] * log_odds)
        push = sign * expit(off)
        penalty = (line[0] / INTERCEPT_SD) ** 2 / 2 + ((line[1] - 1) / SLOPE_SD) ** 2 / 2
        slant = np.array([push.sum() + line[0] / INTERCEPT_SD**2, push @ log_odds + (line[1] - 1) / SLOPE_SD**2])
        return float(np.logaddexp(0, off).sum() + penalty), slant

    found = minimize(
        loss,
        np.array([0.0, 1.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None), (LOWEST_SLOPE, None)],
        options={"ftol": 1e-14, "gtol": 1e-9},
    )
    return Recalibration(float(found.x[0]), float(found.x[1]), len(is_covid))
