"""The evaluation of a model on held-out X-rays: figures with 95 % intervals, curves, slices."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from sklearn.metrics import precision_recall_curve, roc_curve

from xray_core.evaluation import statistics
from xray_core.evaluation.bootstrap import Cohort, Floats, make_cohort, move_cohort
from xray_core.evaluation.calibration import CalibrationBin, calibration_curve
from xray_core.evaluation.elsewhere import WithinView
from xray_core.evaluation.figures import Figures, measure_figures, measure_net_benefits
from xray_core.evaluation.others import OtherFigures, OtherFilms, measure_others
from xray_core.evaluation.slices import SliceFigures, measure_slices
from xray_core.evaluation.two_thresholds import ConfusionRow, count_outcomes
from xray_core.evaluation.views import judge_within_view
from xray_core.models.prevalence import find_mix
from xray_core.models.records import OperatingPoint
from xray_core.records import DECISION_THRESHOLDS

_CURVE_POINTS = 200
# Above this the intervals held the truth in 89 to 93 of 100 simulated cohorts: few patients owned very many X-rays.
_TOO_LARGE_A_SHARE = 0.10


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How many X-rays of one class were evaluated, of how many known patients; `unknown` are X-rays of nobody known."""

    xrays: int
    patients: int
    unknown: int = 0

    def __str__(self) -> str:
        unknown = f" and {self.unknown} of unknown patients" if self.unknown else ""
        return f"{self.xrays} X-rays of {self.patients} patients{unknown}"


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A point (x, y) of a curve and the threshold on P(covid) that it belongs to; None above every score."""

    x: float
    y: float
    threshold: float | None


@dataclass(frozen=True, slots=True)
class DecisionPoint:
    """Net benefit at one threshold probability: of the model, and of calling everybody positive. Nobody is 0.

    `low` and `high` are the model's 95 % interval; None in evaluations that were stored before it was measured.
    """

    threshold: float
    model: float
    everybody: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model's scores on held-out X-rays are worth.

    Points of `roc` are (1 - specificity, sensitivity), of `pr` (recall, precision). `net_benefit` among the figures is
    at the threshold `upper` of the operating point, moved to `prevalence` from the mix that the scores are
    probabilities in; so are the scores of `decision`, which is empty where nobody knows that mix. `calibration` and its
    figures are of the scores moved to the mix of these X-rays. `within_view` is None where no views were given, and in
    evaluations that were stored before it was measured. `largest_share` is the part of the X-rays that one patient owns
    at most, 0..1. `others` are films that are abnormal and not covid: they judge apart, and no other figure counts
    them; None where there is none. `cross_validated` says that no X-rays were kept apart: each was scored by a model
    that had not seen its patient. `sampled_of` is how many patients the test side has where these X-rays are those of
    a sample of them; None where all of them judge.
    """

    operating_point: OperatingPoint
    prevalence: float
    resamples: int
    seed: int
    covid: ClassCount
    normal: ClassCount
    patients: int
    figures: Figures
    confusion_covid: ConfusionRow
    confusion_normal: ConfusionRow
    roc: tuple[CurvePoint, ...]
    pr: tuple[CurvePoint, ...]
    calibration: tuple[CalibrationBin, ...]
    decision: tuple[DecisionPoint, ...]
    slices: tuple[SliceFigures, ...]
    within_view: WithinView | None = None
    others: OtherFigures | None = None
    cross_validated: bool = False
    largest_share: float | None = None
    sampled_of: int | None = None

    @property
    def caution(self) -> str | None:
        """What must be said beside the intervals where one patient owns too many of the X-rays; else None."""
        two_xrays = 2 / (self.covid.xrays + self.normal.xrays)
        if self.largest_share is None or self.largest_share <= max(_TOO_LARGE_A_SHARE, two_xrays):
            return None
        return (
            f"One patient owns {self.largest_share:.0%} of these X-rays: the 95 % intervals are too narrow then and "
            "hold the truth in about 90 of 100 cases; X-rays of more patients mend that."
        )

    def to_json(self) -> str:
        """The evaluation as JSON text."""
        return _ADAPTER.dump_json(self, indent=1).decode()

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON's own values, for the ledger and for `--json`."""
        return dict(json.loads(self.to_json()))


_ADAPTER = TypeAdapter(Evaluation)


def evaluate(
    probabilities: Sequence[float] | NDArray[np.float64],
    is_covid: Sequence[bool],
    patients: Sequence[str],
    operating_point: OperatingPoint,
    *,
    prevalence: float,
    decision_thresholds: Sequence[float] = DECISION_THRESHOLDS,
    is_odd: Sequence[bool] = (),
    slices: Mapping[str, Sequence[str]] | None = None,
    others: OtherFilms | None = None,
    seed: int = 0,
    resamples: int = 2000,
) -> Evaluation:
    """Judge scores P(covid) (n,) against the truth (n,), patient by patient.

    `patients` (n,) says whose each X-ray is: intervals come from drawing patients anew `resamples` times, covid and
    normal patients apart. `prevalence` in 0..1 is the share of covid where the model would be used, which PPV, NPV and
    net benefit are for, `decision_thresholds` the chances of covid at which somebody might act there. `is_odd` (n,)
    says which X-rays are referred whatever their score. `slices` maps a name (source, view) to one value per X-ray
    (n,). `others` are films labelled other, which judge apart. The same seed gives the same evaluation. Raises
    ValueError on no X-ray, unequal lengths, a probability or prevalence outside 0..1.
    """
    cohort = make_cohort(probabilities, is_covid, patients, is_odd=is_odd)
    if not len(cohort.is_covid) or not 0 < prevalence < 1:
        raise ValueError(f"received {len(cohort.is_covid)} X-rays and prevalence {prevalence}; expected > 0 and 0..1")
    mix = find_mix(operating_point)
    return Evaluation(
        operating_point=operating_point,
        prevalence=prevalence,
        resamples=resamples,
        seed=seed,
        covid=_count(cohort, cohort.is_covid),
        normal=_count(cohort, ~cohort.is_covid),
        patients=int(cohort.is_known.sum()),
        figures=measure_figures(cohort, operating_point, prevalence, resamples=resamples, seed=seed),
        confusion_covid=count_outcomes(cohort.call(operating_point), cohort.is_covid),
        confusion_normal=count_outcomes(cohort.call(operating_point), ~cohort.is_covid),
        roc=_roc(cohort),
        pr=_pr(cohort),
        calibration=calibration_curve(move_cohort(cohort, mix, float(cohort.is_covid.mean()))),
        decision=()
        if mix is None
        else _decision(
            move_cohort(cohort, mix, prevalence), decision_thresholds, prevalence, resamples=resamples, seed=seed
        ),
        slices=measure_slices(cohort, slices or {}, operating_point, resamples=resamples, seed=seed),
        largest_share=cohort.largest_share,
        within_view=None
        if slices is None or "view" not in slices
        else judge_within_view(cohort, slices["view"], resamples=resamples, seed=seed),
        others=measure_others(others, operating_point, resamples=resamples, seed=seed) if others else None,
    )


def _count(cohort: Cohort, chosen: NDArray[np.bool_]) -> ClassCount:
    of_nobody = ~cohort.is_known[cohort.patient_of]
    return ClassCount(int(chosen.sum()), cohort.count_known(chosen), int((chosen & of_nobody).sum()))


def _roc(cohort: Cohort) -> tuple[CurvePoint, ...]:
    if cohort.is_covid.all() or not cohort.is_covid.any():
        return ()
    return _thin(*roc_curve(cohort.is_covid, cohort.probabilities))


def _pr(cohort: Cohort) -> tuple[CurvePoint, ...]:
    if not cohort.is_covid.any():
        return ()
    precision, recall, thresholds = precision_recall_curve(cohort.is_covid, cohort.probabilities)
    return _thin(recall, precision, np.append(thresholds, np.inf))


def _thin(x: Floats, y: Floats, thresholds: Floats) -> tuple[CurvePoint, ...]:
    """At most 200 points, both ends kept: a plot shows no more, and the evaluation is stored."""
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), _CURVE_POINTS)).round().astype(int))
    return tuple(
        CurvePoint(float(x[i]), float(y[i]), float(thresholds[i]) if np.isfinite(thresholds[i]) else None) for i in kept
    )


def _decision(
    cohort: Cohort, thresholds: Sequence[float], prevalence: float, *, resamples: int, seed: int
) -> tuple[DecisionPoint, ...]:
    if cohort.is_covid.all() or not cohort.is_covid.any():
        return ()
    whole = np.ones((1, cohort.patients), dtype=np.float32)
    intervals = measure_net_benefits(cohort, thresholds, prevalence, resamples=resamples, seed=seed)
    return tuple(
        DecisionPoint(
            threshold=t,
            model=float(statistics.net_benefit(cohort, t, prevalence)(whole)[0]),
            everybody=prevalence - (1 - prevalence) * t / (1 - t),
            low=None if interval is None else interval.low,
            high=None if interval is None else interval.high,
        )
        for t, interval in zip(thresholds, intervals, strict=True)
    )
