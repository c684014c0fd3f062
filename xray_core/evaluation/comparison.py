"""Candidate against champion on the same X-rays of the same patients: a difference with its one-sided bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xray_core.evaluation import statistics
from xray_core.evaluation.bootstrap import Cohort, Floats, Statistic, resample_statistics
from xray_core.evaluation.intervals import effective_number, wilson
from xray_core.evaluation.slices import TOO_FEW_PATIENTS, TOO_FEW_XRAYS, take_cohort
from xray_core.models.records import OperatingPoint


@dataclass(frozen=True, slots=True)
class Difference:
    """Candidate minus champion. The truth is below `low` with chance alpha at most, and above `high` likewise."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Resampled:
    """One model's figure: its value, its resampled values, its standard error and what its patients are worth."""

    value: float
    resampled: Floats
    error: float
    number: float


def compare_auroc(candidate: Cohort, champion: Cohort, *, alpha: float, resamples: int, seed: int) -> Difference:
    """The difference of two AUROCs on the same X-rays, from one patient bootstrap of both.

    The plain bootstrap bound passes too easily in small test sets: where a candidate was worse by just the margin of
    0.05, with 30 patients a class, it passed in 7 to 11 of 100 simulated comparisons, because an AUROC that came out
    too high also varies too little. So each arm is the paired standard error times Student's t, lengthened by as
    much as Wilson's arm of that model's own AUROC is longer than its plain one. For losses that are spread evenly,
    simulated over AUROC 0.85 to 0.98,
    correlations of the scores 0 to 0.95, 30 to 100 patients a class with 1 to 3 X-rays: 1.0 to 5.8 in 100, with a
    simulation error of 1.1. A loss that sits in a few patients needs another limit, see `_bound_rare_losses`: `low` is
    the lower of both. Power, the chance that an equally good candidate passes, at AUROC 0.92 and with 30, 60
    and 100 patients a class, at look 1: 0.40, 0.71 and 0.97 where the scores correlate 0.8; 0.59, 0.98 and 1.00 where
    0.95 (docs/gate.md has the looks after it).
    """
    patients = min(candidate.count_patients(candidate.is_covid), candidate.count_patients(~candidate.is_covid))
    smooth = compare_statistics(
        statistics.auroc(candidate),
        statistics.auroc(champion),
        candidate,
        patients=patients,
        alpha=alpha,
        resamples=resamples,
        seed=seed,
    )
    whole = np.ones((1, champion.patients), dtype=np.float32)
    before = float(statistics.auroc(champion)(whole)[0])
    rare = _bound_rare_losses(smooth.value, before, patients=patients, alpha=alpha)
    return replace(smooth, low=min(smooth.low, rare))


def compare_statistics(
    candidate: Statistic, champion: Statistic, cohort: Cohort, *, patients: int, alpha: float, resamples: int, seed: int
) -> Difference:
    """The difference of two statistics in 0..1 of one cohort, as well known as `patients` allow (`compare_auroc`)."""
    from scipy.special import stdtrit  # an installation that only scores does without

    both = {"candidate": candidate, "champion": champion}
    resampled = resample_statistics(both, cohort, resamples=resamples, seed=seed)
    ours, theirs = (_describe(*resampled[name], patients=patients, xrays=len(cohort.is_covid)) for name in both)
    value = ours.value - theirs.value
    error = _standard_error(ours.resampled - theirs.resampled, patients)
    t = float(stdtrit(max(1, patients - 1), 1 - alpha))
    return Difference(value, value - _arm(ours, theirs, error, t), value + _arm(theirs, ours, error, t))


def compare_slices(
    cohorts: tuple[Cohort, Cohort],
    points: tuple[OperatingPoint, OperatingPoint],
    slices: Mapping[str, Sequence[str]],
    *,
    alpha: float,
    resamples: int,
    seed: int,
) -> dict[str, Difference]:
    """The difference in every slice that has X-rays and patients enough, by name ("view AP").

    AUROC where both classes have patients enough, else the share of X-rays that are called rightly or referred.
    `alpha` is shared out among the slices (Bonferroni), for of many slices one always looks bad by chance.
    """
    members = dict(_find_members(cohorts[0], slices))
    return {
        name: _compare_slice(
            (take_cohort(cohorts[0], chosen), take_cohort(cohorts[1], chosen)),
            points,
            alpha=alpha / len(members),
            resamples=resamples,
            seed=seed,
        )
        for name, chosen in members.items()
    }


def _find_members(cohort: Cohort, slices: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    for name, values in sorted(slices.items()):
        written = np.asarray(values, dtype=np.str_)
        for value in sorted(set(values)):
            chosen = written == value
            if chosen.sum() >= TOO_FEW_XRAYS and cohort.count_patients(chosen) >= 2 * TOO_FEW_PATIENTS:
                yield f"{name} {value}", chosen


def _compare_slice(
    parts: tuple[Cohort, Cohort],
    points: tuple[OperatingPoint, OperatingPoint],
    *,
    alpha: float,
    resamples: int,
    seed: int,
) -> Difference:
    ours, theirs = parts
    if min(ours.count_patients(ours.is_covid), ours.count_patients(~ours.is_covid)) >= TOO_FEW_PATIENTS:
        return compare_auroc(ours, theirs, alpha=alpha, resamples=resamples, seed=seed)
    return compare_statistics(
        _not_wrong(ours, points[0]),
        _not_wrong(theirs, points[1]),
        ours,
        patients=ours.patients,
        alpha=alpha,
        resamples=resamples,
        seed=seed,
    )


def _not_wrong(part: Cohort, point: OperatingPoint) -> Statistic:
    calls = part.call(point)
    is_kept = np.where(part.is_covid, ~calls.negative, ~calls.positive)
    return statistics.share(part, is_kept, np.ones(len(part.is_covid), dtype=np.bool_))


def _bound_rare_losses(value: float, before: float, *, patients: int, alpha: float) -> float:
    """The lowest difference of AUROCs that may be true where the loss sits in a share of one class's patients.

    A patient whose X-rays the candidate ranks like chance loses `before` - 0.5 of its pairs, `before` being the
    champion's AUROC. Where none of them stands on the test side, difference and standard error are both zero, and say
    nothing: the share of such patients is known no better than its exact upper limit (Clopper & Pearson, Biometrika
    1934;26:404-413; with none seen the rule of three, Hanley & Lippman-Hand, JAMA 1983;249:1743-1745). A loss that was
    seen counts as that many lost patients.
    """
    from scipy.special import betaincinv  # an installation that only scores does without

    stake = before - 0.5
    if stake <= 0:
        return value
    lost = min(float(patients), max(0.0, -value) / stake * patients)
    share = 1.0 if lost >= patients else float(betaincinv(lost + 1, patients - lost, 1 - alpha))
    return max(value, 0.0) - share * stake


def _describe(value: float, resampled: Floats, *, patients: int, xrays: int) -> _Resampled:
    number = effective_number(value, resampled, patients=patients, xrays=xrays)
    return _Resampled(value, resampled, _standard_error(resampled, patients), number)


def _standard_error(resampled: Floats, patients: int) -> float:
    return float(np.nanstd(resampled) * np.sqrt(patients / max(1, patients - 1)))


def _arm(may_be_lower: _Resampled, may_be_higher: _Resampled, error: float, t: float) -> float:
    """How much lower one figure may be than the other than it seems."""
    drop = may_be_lower.value - wilson(may_be_lower.value, may_be_lower.number, t)[0]
    if may_be_lower.error == 0:  # at 1.0 nothing varies: Zou & Donner 2008, see `intervals.difference_interval`
        rise = wilson(may_be_higher.value, may_be_higher.number, t)[1] - may_be_higher.value
        return float(np.hypot(drop, rise))
    return t * error * max(1.0, drop / (t * may_be_lower.error))
