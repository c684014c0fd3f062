"""Films that are abnormal and not covid, judged apart: how many of them a model takes for covid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xray_core.evaluation import statistics
from xray_core.evaluation.bootstrap import Cohort, make_cohort, resample_statistics
from xray_core.evaluation.intervals import share_interval
from xray_core.evaluation.two_thresholds import ConfusionRow, count_outcomes
from xray_core.models.records import OperatingPoint
from xray_core.records import Interval


@dataclass(frozen=True, slots=True)
class OtherFilms:
    """Scores P(covid) (n,) of films labelled `other`, whose they are (n,), and which are referred whatever their score.

    Without `is_odd` none is.
    """

    probabilities: Sequence[float]
    patients: Sequence[str]
    is_odd: Sequence[bool] = ()

    def to_cohort(self) -> Cohort:
        """The same as a cohort without covid."""
        return make_cohort(self.probabilities, [False] * len(self.patients), self.patients, is_odd=self.is_odd)


@dataclass(frozen=True, slots=True)
class OtherFigures:
    """What a model makes of films labelled `other`: shares 0..1 with 95 % intervals by patient.

    `specificity_at_lower` is the share that is called negative, `specificity_at_upper` the share that is not called
    positive: beside the same figures among normal films they say whether it tells covid, or only what is abnormal.
    """

    xrays: int
    patients: int
    outcomes: ConfusionRow
    specificity_at_lower: Interval | None
    specificity_at_upper: Interval | None
    refer_share: Interval | None


def measure_others(others: OtherFilms, point: OperatingPoint, *, resamples: int, seed: int) -> OtherFigures | None:
    """The figures of films labelled `other` at an operating point; None where there is no such film."""
    if not len(others.patients):
        return None
    cohort = others.to_cohort()
    calls, everyone = cohort.call(point), np.ones(len(cohort.probabilities), dtype=np.bool_)
    chosen = {
        "specificity_at_lower": calls.negative,
        "specificity_at_upper": ~calls.positive,
        "refer_share": calls.referred,
    }
    shares = {name: statistics.share(cohort, part, everyone) for name, part in chosen.items()}
    resampled = resample_statistics(shares, cohort, resamples=resamples, seed=seed)
    return OtherFigures(
        xrays=len(everyone),
        patients=cohort.count_known(everyone),
        outcomes=count_outcomes(calls, everyone),
        **{name: share_interval(*resampled[name], patients=cohort.patients, xrays=len(everyone)) for name in chosen},
    )
