"""What three outcomes come to at each of the two thresholds: a pair of its own, with every X-ray counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xray_core.evaluation.bootstrap import Calls


@dataclass(frozen=True, slots=True)
class ConfusionRow:
    """What the X-rays of one class were called at the operating point."""

    positive: int
    refer: int
    negative: int

    @property
    def xrays(self) -> int:
        """How many there are."""
        return self.positive + self.refer + self.negative


@dataclass(frozen=True, slots=True)
class ThresholdPair:
    """Sensitivity and specificity, 0..1, as if there were this one threshold: a point of the ROC curve."""

    sensitivity: float
    specificity: float


@dataclass(frozen=True, slots=True)
class TwoThresholds:
    """The pair at each threshold, and the share 0..1 that is referred: of all, of covid, of normal X-rays.

    To count what is referred as right on both sides gives a pair that no threshold has (Shinkins and others, BMJ
    2013;346:f2778): at the lower threshold a referred X-ray counts as covid, at the upper one as normal.
    """

    lower: ThresholdPair
    upper: ThresholdPair
    referred: float
    referred_covid: float
    referred_normal: float

    def __str__(self) -> str:
        return (
            f"at the lower threshold sensitivity {self.lower.sensitivity:.3f} and specificity "
            f"{self.lower.specificity:.3f}, at the upper {self.upper.sensitivity:.3f} and "
            f"{self.upper.specificity:.3f}; {self.referred:.0%} referred ({self.referred_covid:.0%} of covid, "
            f"{self.referred_normal:.0%} of normal)"
        )


def count_outcomes(calls: Calls, among: NDArray[np.bool_]) -> ConfusionRow:
    """What the X-rays `among` (n,) are called."""
    return ConfusionRow(*(int((called & among).sum()) for called in (calls.positive, calls.referred, calls.negative)))


def measure_thresholds(covid: ConfusionRow, normal: ConfusionRow) -> TwoThresholds | None:
    """Both pairs from the counts of each class; None where a class is missing."""
    if not covid.xrays or not normal.xrays:
        return None
    return TwoThresholds(
        lower=ThresholdPair((covid.positive + covid.refer) / covid.xrays, normal.negative / normal.xrays),
        upper=ThresholdPair(covid.positive / covid.xrays, (normal.refer + normal.negative) / normal.xrays),
        referred=(covid.refer + normal.refer) / (covid.xrays + normal.xrays),
        referred_covid=covid.refer / covid.xrays,
        referred_normal=normal.refer / normal.xrays,
    )
