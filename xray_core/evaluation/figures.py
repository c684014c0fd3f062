"""The figures of an evaluation, each with its interval from one and the same patient bootstrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xray_core.evaluation import calibration, statistics
from xray_core.evaluation.bootstrap import Cohort, Floats, Statistic, move_cohort, resample_statistics
from xray_core.evaluation.intervals import (
    area_interval,
    difference_interval,
    line_interval,
    percentile_interval,
    predictive_value_interval,
    share_interval,
)
from xray_core.models.prevalence import find_mix, move_to_prevalence
from xray_core.models.records import OperatingPoint
from xray_core.records import Interval

_OF_BOTH_CLASSES = ("auroc", "auprc", "f1", "precision", "calibration_slope", "calibration_intercept")
OF_THRESHOLDS = (
    *("sensitivity_at_lower", "specificity_at_lower", "sensitivity_at_upper", "specificity_at_upper"),
    *("refer_share", "refer_share_covid", "refer_share_normal"),
)
OF_CALIBRATION = ("brier", "calibration_slope", "calibration_intercept", "calibration_error")


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of an evaluation, each with its 95 % interval, None where the X-rays cannot tell.

    With three outcomes there is no one sensitivity and specificity: to count a referred X-ray as right on both sides
    flatters, and gives a point that the ROC curve does not pass through (Shinkins and others, BMJ 2013;346:f2778). So
    each threshold has its own pair with every X-ray counted, as if it were the only one: at the lower one an X-ray
    counts as covid from there on, referred ones with it; at the upper one only what is called positive does.
    `refer_share` is what is referred, of all X-rays, of covid ones and of normal ones: what lies between them, and, as
    in service, what is unlike the films that the model was trained on. AUROC and its like are of the scores.

    `ppv` is the chance of covid after `positive`, `npv` the chance of normal after `negative`, both at
    the stated prevalence; `precision` is the share of covid among those called positive in this mix, `f1` balances it
    with the share of covid called positive, `accuracy` is the share of right outcomes among those not referred.
    """

    auroc: Interval | None
    auprc: Interval | None
    sensitivity_at_lower: Interval | None
    specificity_at_lower: Interval | None
    sensitivity_at_upper: Interval | None
    specificity_at_upper: Interval | None
    refer_share: Interval | None
    refer_share_covid: Interval | None
    refer_share_normal: Interval | None
    ppv: Interval | None
    npv: Interval | None
    accuracy: Interval | None
    precision: Interval | None
    f1: Interval | None
    brier: Interval | None
    calibration_slope: Interval | None
    calibration_intercept: Interval | None
    calibration_error: Interval | None
    net_benefit: Interval | None


@dataclass(frozen=True, slots=True)
class _Share:
    """Which X-rays (n,) bool a share is of, and which of them count."""

    among: NDArray[np.bool_]
    chosen: NDArray[np.bool_]


def measure_figures(cohort: Cohort, point: OperatingPoint, prevalence: float, *, resamples: int, seed: int) -> Figures:
    """Every figure of the cohort at its operating point, PPV, NPV and net benefit at a prevalence in 0..1.

    Net benefit (see `statistics.net_benefit`) is at the threshold `upper`, moved to that prevalence; None where nobody
    knows in which mix the scores are probabilities. Calibration is that of the scores moved to the mix of the cohort.
    """
    shares = _name_shares(cohort, point)
    resampled = resample_statistics(_name_statistics(cohort, point, shares), cohort, resamples=resamples, seed=seed)
    intervals = {name: _share_interval(cohort, shares[name], resampled.get(name)) for name in shares}
    areas = {name: _area_interval(cohort, resampled.get(name)) for name in ("auroc", "auprc", "f1")}
    return Figures(
        **{name: intervals[name] for name in (*OF_THRESHOLDS, "accuracy", "precision")},
        ppv=_predictive_value(intervals, "sensitivity_at_upper", "positive_in_normal", prevalence),
        npv=_predictive_value(intervals, "specificity_at_lower", "negative_in_covid", 1 - prevalence),
        net_benefit=_net_benefit(intervals, _move_threshold(point, prevalence), prevalence),
        **areas,
        **_calibration_intervals(cohort, resampled),
    )


def measure_net_benefits(
    cohort: Cohort, thresholds: Sequence[float], prevalence: float, *, resamples: int, seed: int
) -> list[Interval | None]:
    """Net benefit at each threshold probability below 1, at a prevalence in 0..1; None where a class is missing."""
    shares = {
        (name, threshold): _Share(among, (cohort.probabilities >= threshold) & ~cohort.is_odd)
        for threshold in thresholds
        for name, among in (("sensitivity_at_upper", cohort.is_covid), ("positive_in_normal", ~cohort.is_covid))
    }
    measured = {
        f"{name} {threshold}": statistics.share(cohort, part.chosen, part.among)
        for (name, threshold), part in shares.items()
    }
    resampled = resample_statistics(measured, cohort, resamples=resamples, seed=seed)
    intervals = {
        key: _share_interval(cohort, part, resampled.get(f"{key[0]} {key[1]}")) for key, part in shares.items()
    }
    return [
        _net_benefit(
            {name: intervals[name, threshold] for name, at in shares if at == threshold}, threshold, prevalence
        )
        for threshold in thresholds
    ]


def measure_calibration(cohort: Cohort, *, resamples: int, seed: int) -> dict[str, Interval | None]:
    """The figures of calibration alone, by name: they need no operating point."""
    measured = _name_calibration(cohort)
    resampled = resample_statistics(measured, cohort, resamples=resamples, seed=seed)
    return _calibration_intervals(cohort, resampled)


def _name_shares(cohort: Cohort, point: OperatingPoint) -> dict[str, _Share]:
    covid, normal = cohort.is_covid, ~cohort.is_covid
    calls = cohort.call(point)
    positive, negative, decided = calls.positive, calls.negative, ~calls.referred
    return {
        "sensitivity_at_lower": _Share(covid, ~negative),
        "specificity_at_lower": _Share(normal, negative),
        "sensitivity_at_upper": _Share(covid, positive),
        "specificity_at_upper": _Share(normal, ~positive),
        "refer_share": _Share(covid | normal, ~decided),
        "refer_share_covid": _Share(covid, ~decided),
        "refer_share_normal": _Share(normal, ~decided),
        "accuracy": _Share(decided, (positive & covid) | (negative & normal)),
        "precision": _Share(positive, covid),
        "positive_in_normal": _Share(normal, positive),
        "negative_in_covid": _Share(covid, negative),
    }


def _name_statistics(cohort: Cohort, point: OperatingPoint, shares: Mapping[str, _Share]) -> dict[str, Statistic]:
    measured: dict[str, Statistic] = {
        name: statistics.share(cohort, part.chosen, part.among) for name, part in shares.items()
    }
    measured |= {
        "auroc": statistics.auroc(cohort),
        "auprc": statistics.average_precision(cohort),
        "f1": statistics.f1(cohort, cohort.call(point).positive),
        **_name_calibration(move_cohort(cohort, find_mix(point), float(cohort.is_covid.mean()))),
    }
    return _leave_out_comparisons(measured, cohort)


def _name_calibration(cohort: Cohort) -> dict[str, Statistic]:
    measured = {
        "brier": statistics.brier(cohort),
        "calibration_slope": calibration.calibration_slope(cohort),
        "calibration_intercept": calibration.calibration_intercept(cohort),
        "calibration_error": calibration.expected_calibration_error(cohort),
    }
    return _leave_out_comparisons(measured, cohort)


def _leave_out_comparisons(measured: dict[str, Statistic], cohort: Cohort) -> dict[str, Statistic]:
    if cohort.is_covid.all() or not cohort.is_covid.any():  # what compares the classes says nothing of one
        return {name: statistic for name, statistic in measured.items() if name not in _OF_BOTH_CLASSES}
    return measured


def _share_interval(cohort: Cohort, part: _Share, resampled: tuple[float, Floats] | None) -> Interval | None:
    if resampled is None:
        return None
    return share_interval(*resampled, patients=cohort.count_patients(part.among), xrays=int(part.among.sum()))


def _area_interval(cohort: Cohort, resampled: tuple[float, Floats] | None) -> Interval | None:
    """A figure that needs both classes is known no better than the class with fewer patients allows."""
    if resampled is None:
        return None
    fewest = min(cohort.count_patients(cohort.is_covid), cohort.count_patients(~cohort.is_covid))
    return area_interval(*resampled, patients=fewest, xrays=len(cohort.is_covid))


def _calibration_intervals(cohort: Cohort, resampled: Mapping[str, tuple[float, Floats]]) -> dict[str, Interval | None]:
    intervals = {name: percentile_interval(*resampled[name]) if name in resampled else None for name in OF_CALIBRATION}
    fewest = min(cohort.count_patients(cohort.is_covid), cohort.count_patients(~cohort.is_covid))
    of_line = {name: resampled[name] for name in ("calibration_slope", "calibration_intercept") if name in resampled}
    return intervals | {name: line_interval(*each, patients=fewest) for name, each in of_line.items()}


def _predictive_value(
    intervals: Mapping[str, Interval | None], right: str, wrong: str, class_share: float
) -> Interval | None:
    rate, false_rate = intervals[right], intervals[wrong]
    if rate is None or false_rate is None:
        return None
    return predictive_value_interval(rate, false_rate, class_share)


def _move_threshold(point: OperatingPoint, prevalence: float) -> float | None:
    """The chance of covid at the stated prevalence from which an X-ray is called positive."""
    mix = find_mix(point)
    return None if mix is None or point.upper >= 1 else float(move_to_prevalence(point.upper, mix, prevalence))


def _net_benefit(
    intervals: Mapping[str, Interval | None], threshold: float | None, prevalence: float
) -> Interval | None:
    hits, alarms = intervals["sensitivity_at_upper"], intervals["positive_in_normal"]
    if hits is None or alarms is None or threshold is None:
        return None
    odds = threshold / (1 - threshold)
    return difference_interval(hits, alarms, first_weight=prevalence, second_weight=(1 - prevalence) * odds)
