"""The plots of an evaluation, by file name: each as a call that any process can make."""

from __future__ import annotations

from functools import partial
from typing import Final

from xray_core.evaluation.evaluation import Evaluation
from xray_core.evaluation.slices import TOO_FEW_XRAYS
from xray_core.evaluation.two_thresholds import measure_thresholds
from xray_core.processes.helper_process import Call
from xray_core.records import AuditVerdict
from xray_core.report import curves
from xray_core.report.forest import ForestLine, plot_slices

Plot = Call[bytes]


# What a positive outcome is worth, and what acting on it gains: nothing to look at beside a confounded audit.
_OF_WORTH: Final = ("precision_recall.png", "decision.png")


def plan_evaluation(evaluation: Evaluation, audit: AuditVerdict | None) -> dict[str, Plot]:
    """Every plot of an evaluation by its file name, each as a call; none of worth where the audit is confounded."""
    planned = {**_plan_outcomes(evaluation), **_plan_probabilities(evaluation), "slices.png": _plan_slices(evaluation)}
    hidden = _OF_WORTH if audit is AuditVerdict.CONFOUNDED else ()
    return {name: plot for name, plot in planned.items() if name not in hidden}


def _plan_outcomes(evaluation: Evaluation) -> dict[str, Plot]:
    figures, n = evaluation.figures, count_test(evaluation)
    covid, normal = evaluation.confusion_covid, evaluation.confusion_normal
    return {
        "roc.png": partial(
            curves.plot_roc,
            [(point.x, point.y) for point in evaluation.roc],
            auroc=figures.auroc,
            operating=find_thresholds(evaluation),
            n=n,
        ),
        "precision_recall.png": partial(
            curves.plot_precision_recall,
            [(point.x, point.y) for point in evaluation.pr],
            auprc=figures.auprc,
            share_covid=evaluation.covid.xrays / (evaluation.covid.xrays + evaluation.normal.xrays),
            n=n,
        ),
        "confusion.png": partial(
            curves.plot_confusion,
            (covid.positive, covid.refer, covid.negative),
            (normal.positive, normal.refer, normal.negative),
            n=n,
        ),
    }


def _plan_probabilities(evaluation: Evaluation) -> dict[str, Plot]:
    figures, n = evaluation.figures, count_test(evaluation)
    return {
        "calibration.png": partial(
            curves.plot_calibration,
            [one.mean_probability for one in evaluation.calibration],
            [one.share_covid for one in evaluation.calibration],
            [one.xrays for one in evaluation.calibration],
            slope=figures.calibration_slope,
            error=figures.calibration_error,
            n=n,
        ),
        "decision.png": partial(
            curves.plot_decision,
            [point.threshold for point in evaluation.decision],
            [point.model for point in evaluation.decision],
            [point.everybody for point in evaluation.decision],
            band=[
                None if point.low is None or point.high is None else (point.low, point.high)
                for point in evaluation.decision
            ],
            prevalence=evaluation.prevalence,
            n=n,
        ),
    }


def _plan_slices(evaluation: Evaluation) -> Plot:
    n = count_test(evaluation)
    judged = [one for one in evaluation.slices if one.xrays >= TOO_FEW_XRAYS]
    return partial(
        plot_slices,
        [ForestLine(f"{one.name}: {one.value} ({one.xrays})", one.auroc, one.remark) for one in judged]
        or [ForestLine("no slice", None, "too few")],
        overall=evaluation.figures.auroc,
        n=n if len(judged) == len(evaluation.slices) else f"{n}; slices under {TOO_FEW_XRAYS}: too few",
    )


def find_thresholds(evaluation: Evaluation) -> list[tuple[float, float]]:
    """Where `positive` begins and where `negative` ends on the ROC plot: (1 - specificity, sensitivity) of both.

    From the counts at the operating point: the stored curve is thinned and lacks points on straight lines.
    """
    both = measure_thresholds(evaluation.confusion_covid, evaluation.confusion_normal)
    pairs = () if both is None else (both.upper, both.lower)
    return [(1 - pair.specificity, pair.sensitivity) for pair in pairs]


def count_test(evaluation: Evaluation) -> str:
    """How many X-rays a figure is about, short enough for its foot."""
    where = "cross-validated" if evaluation.cross_validated else "test"
    where += "" if evaluation.sampled_of is None else f", a sample of {evaluation.sampled_of:,} patients"
    return f"{where}: {evaluation.covid.xrays} covid, {evaluation.normal.xrays} normal X-rays"
