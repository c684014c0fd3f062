"""95 % intervals by patient bootstrap: patients are drawn, never X-rays, for those of one patient are alike."""

from __future__ import annotations

import numpy as np

from xray_core.evaluation.bootstrap import Floats
from xray_core.records import Interval


def percentile_interval(value: float, resampled: Floats) -> Interval | None:
    """The middle 95 % of the resampled values (Efron 1979), or None where over 2.5 % of the resamples have no value."""
    finite = resampled[np.isfinite(resampled)]
    if not np.isfinite(value) or len(finite) < 0.975 * len(resampled) or not len(finite):
        return None
    low, high = np.quantile(finite, (0.025, 0.975))
    return Interval(value, float(min(low, value)), float(max(high, value)))


def line_interval(value: float, resampled: Floats, *, patients: int) -> Interval | None:
    """The interval of a calibration slope or intercept: plus and minus Student's t times a robust bootstrap error.

    The error is the distance of the quartiles over 1.349. A resample that separates the classes has no slope and counts
    as an endless one; None where over a quarter has none. Percentiles held the true slope in 87 to 91 of 100 simulated
    cohorts of 20 to 100 patients a class, for in small sets the resampled slopes are too steep; this in 94 to 97. Of
    the intercept of scores moved to the cohort's mix it held 94.8 to 97.2 in 100 (15 to 100 patients a class, AUROC
    0.70 to 0.97, 1000 cohorts each, standard error 0.7), percentiles 92.7 to 96.8.
    """
    low, high = np.quantile(np.where(np.isfinite(resampled), resampled, np.inf), (0.25, 0.75), method="nearest")
    if not (np.isfinite(value) and np.isfinite(high)) or patients < 2:
        return None
    from scipy.special import stdtrit  # an installation that only scores does without

    arm = float(stdtrit(patients - 1, 0.975) * (high - low) / 1.349)
    return Interval(value, value - arm, value + arm)


def share_interval(value: float, resampled: Floats, *, patients: int, xrays: int) -> Interval | None:
    """The interval of a share of X-rays, honest at the ends.

    At 1.0 every resample is 1.0 as well and its percentiles would claim certainty. So the bootstrap gives the
    variance; that says how many independent X-rays the patients are worth; the interval is Clopper and Pearson's
    exact one for that number (Korn & Graubard, Survey Methodology 1998;24:193-201). It covers 95 in 100 or more.
    """
    if not np.isfinite(value) or patients < 1:
        return None
    number = effective_number(value, resampled, patients=patients, xrays=xrays)
    return Interval(value, *clopper_pearson(value * number, number))


def area_interval(value: float, resampled: Floats, *, patients: int, xrays: int) -> Interval | None:
    """The interval of an area under a curve or another figure in 0..1, honest at the ends and in small sets.

    As `share_interval`, with Wilson's interval: an area is finer than a share and the exact one would be too wide.
    Percentiles held a true AUROC of 0.97 in 80 of 100 simulated cohorts of 15 patients a class; this in 93 to 98
    over AUROC 0.70 to 0.97, 15 to 100 patients a class, 1 to 4 X-rays each; a true average precision in 93 to 96.
    """
    if not np.isfinite(value) or patients < 1:
        return None
    number = effective_number(value, resampled, patients=patients, xrays=xrays)
    return Interval(value, *wilson(value, number))


def effective_number(value: float, resampled: Floats, *, patients: int, xrays: int) -> float:
    """How many independent X-rays give a figure in 0..1 the variance that the patient bootstrap found.

    Corrected for few patients, never more than `xrays`; where nothing varies, as many as there are patients.
    """
    finite = resampled[np.isfinite(resampled)]
    variance = float(np.var(finite)) * patients / max(1, patients - 1) if len(finite) else 0.0
    if not 0 < value < 1 or variance == 0:
        return float(patients)
    from scipy.special import stdtrit  # an installation that only scores does without

    few_patients = (stdtrit(max(1, xrays - 1), 0.975) / stdtrit(max(1, patients - 1), 0.975)) ** 2
    return float(min(xrays, value * (1 - value) / variance * few_patients))


def clopper_pearson(successes: float, trials: float) -> tuple[float, float]:
    """The exact 95 % interval of a binomial share (Biometrika 1934;26:404-413); both numbers may be fractions."""
    failures = trials - successes
    from scipy.special import betaincinv  # an installation that only scores does without

    low = 0.0 if successes <= 0 else float(betaincinv(successes, failures + 1, 0.025))
    high = 1.0 if failures <= 0 else float(betaincinv(successes + 1, failures, 0.975))
    return low, high


def wilson(value: float, number: float, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a share measured on a number of X-rays, which may be a fraction (JASA 1927;22:209).

    `z` is the normal quantile of the wanted confidence, 1.96 for 95 %.
    """
    centre = (value + z**2 / (2 * number)) / (1 + z**2 / number)
    half = z * np.sqrt(value * (1 - value) / number + (z / (2 * number)) ** 2) / (1 + z**2 / number)
    return (0.0 if value <= 0 else float(centre - half)), (1.0 if value >= 1 else float(centre + half))


def predictive_value_interval(rate: Interval, false_rate: Interval, share: float) -> Interval | None:
    """A predictive value at a stated share of the class, from two rates that were measured in different X-rays.

    `rate` is how often the outcome is given in its own class, `false_rate` in the other. Positive predictive value:
    rates of `positive`, share = prevalence. Negative: rates of `negative`, share = 1 - prevalence. None where the
    outcome was never given. It depends on the ratio of both rates alone, and that has an interval from theirs:
    method of variance estimates recovery for ratios (Donner & Zou, Statistical Methods in Medical Research
    2012;21:347-359). The adjusted logit method of Mercaldo, Lau and Zhou (Statistics in Medicine 2007;26:2170-2183)
    was tried: where covid is seldom missed it held the true NPV in 59 to 86 of 100 simulated cohorts.
    """
    if rate.value + false_rate.value == 0:
        return None
    low, high = _ratio_bounds(rate, false_rate)
    value = _predict(rate.value, false_rate.value, share)
    return Interval(value, min(_predict(*low, share), value), max(_predict(*high, share), value))


def _ratio_bounds(above: Interval, below: Interval) -> tuple[tuple[float, float], tuple[float, float]]:
    """The lower and the upper bound of above / below, each as a numerator and a denominator: that may be 0."""
    product = above.value * below.value
    least, most = (edge * (2 * above.value - edge) for edge in (above.low, above.high))
    wide, narrow = (edge * (2 * below.value - edge) for edge in (below.high, below.low))
    low = (least, product + np.sqrt(max(0.0, product**2 - wide * least)))
    high = (product + np.sqrt(max(0.0, product**2 - narrow * most)), narrow)
    return (float(low[0]), float(low[1])), (float(high[0]), float(high[1]))


def _predict(rate: float, false_rate: float, share: float) -> float:
    """Bayes' rule; only the ratio of the rates counts."""
    right, wrong = rate * share, false_rate * (1 - share)
    return right / (right + wrong) if right + wrong else 1.0


def difference_interval(first: Interval, second: Interval, *, first_weight: float, second_weight: float) -> Interval:
    """first_weight x first - second_weight x second, from the intervals of both, measured in different X-rays.

    Method of variance estimates recovery (Zou & Donner, Statistics in Medicine 2008;27:1693-1702): honest where a
    bootstrap of the difference would not vary. Weights are not negative.
    """
    value = first_weight * first.value - second_weight * second.value
    down = np.hypot(first_weight * (first.value - first.low), second_weight * (second.high - second.value))
    up = np.hypot(first_weight * (first.high - first.value), second_weight * (second.value - second.low))
    return Interval(value, float(value - down), float(value + up))
