"""The plots of a training, by file name: each as a call that any process can make."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xray_core.evaluation.evaluation import Evaluation
from xray_core.evaluation.shortcut_audit import CONFOUNDED_FROM, SUSPECT_FROM, ShortcutAudit
from xray_core.evaluation.slices import TOO_FEW_XRAYS
from xray_core.models.records import OperatingPoint
from xray_core.networks.fitting import Trained
from xray_core.networks.heat_maps import grad_cam
from xray_core.networks.keras_classifier import KerasClassifier
from xray_core.processes.helper_process import BackgroundCall, Call, HelperProcess
from xray_core.records import Split
from xray_core.report import curves
from xray_core.report.forest import ForestLine, plot_comparison, plot_shortcut_audit, plot_slices
from xray_core.report.image_sheets import plot_heat_sheet
from xray_core.training.images import Side, TrainingImages

if TYPE_CHECKING:
    from xray_core.training.trial import Trial

Plot = Call[bytes]

# Stays in the model's folder: heat maps of single patients are for whoever studies the model, not for a run's page.
NOT_IN_THE_UI = frozenset({"attention.png"})
_HEATED = 3
_COMPARED = ("auroc", "auprc", "sensitivity", "specificity", "accuracy", "brier")


def begin_plots(trial: Trial, helper: HelperProcess) -> dict[str, BackgroundCall[bytes]]:
    """Have every plot drawn as PNG by the helper process, and do not wait."""
    begun = {name: helper.begin(plot) for name, plot in plan_plots(trial).items()}
    return {"first_xrays.png": trial.groundwork.first_xrays} | begun


def plan_plots(trial: Trial) -> dict[str, Plot]:
    """Every plot that needs the network, as a call; candidate beside champion only where there is a champion."""
    images, trained, judgement = trial.images, trial.trained, trial.judgement
    test = images.sides[Split.TEST]
    planned: dict[str, Plot] = {
        "learning.png": _plan_learning(trained, images),
        **_plan_evaluation(judgement.candidate),
        "scores.png": _plan_scores(judgement.scores, test.is_covid, judgement.operating_point, judgement.candidate),
        "audit.png": partial(draw_audit, judgement.audit),
        "attention.png": _plan_attention(test, trained.classifier, judgement.scores),
    }
    if judgement.champion is not None and judgement.champion_version is not None:
        planned["comparison.png"] = partial(
            plot_comparison,
            {
                name: (getattr(judgement.champion.figures, name), getattr(judgement.candidate.figures, name))
                for name in _COMPARED
            },
            champion=judgement.champion_version,
            candidate=judgement.evidence.version,
            n=count_test(judgement.candidate),
        )
    return planned


def draw_audit(audit: ShortcutAudit) -> bytes:
    """Every finding of a shortcut audit with its interval."""
    return plot_shortcut_audit(
        [ForestLine(finding.name, finding.auc) for finding in audit.findings],
        [finding.verdict for finding in audit.findings],
        suspect_from=SUSPECT_FROM,
        confounded_from=CONFOUNDED_FROM,
        verdict=audit.verdict,
        n=f"{audit.xrays} X-rays of {audit.patients} patients",
    )


def count_test(evaluation: Evaluation) -> str:
    """How many X-rays a figure is about, short enough for its foot."""
    return f"test: {evaluation.covid.xrays} covid, {evaluation.normal.xrays} normal X-rays"


def _plan_learning(trained: Trained, images: TrainingImages) -> Plot:
    history = trained.history
    train, validation = images.sides[Split.TRAIN], images.sides[Split.VALIDATION]
    return partial(
        curves.plot_learning_curves,
        train_accuracy=[epoch.train.accuracy for epoch in history],
        held_out_accuracy=[epoch.held_out.accuracy for epoch in history],
        train_loss=[epoch.train.loss for epoch in history],
        held_out_loss=[epoch.held_out.loss for epoch in history],
        n=f"{len(train.xrays)} training X-rays, {len(validation.xrays)} held out (validation)",
    )


def _plan_evaluation(evaluation: Evaluation) -> dict[str, Plot]:
    figures, n = evaluation.figures, count_test(evaluation)
    shown = [part for part in evaluation.slices if part.xrays >= TOO_FEW_XRAYS]
    xrays = evaluation.covid.xrays + evaluation.normal.xrays
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
            share_covid=evaluation.covid.xrays / xrays,
            n=n,
        ),
        "confusion.png": partial(
            curves.plot_confusion,
            (covid.positive, covid.refer, covid.negative),
            (normal.positive, normal.refer, normal.negative),
            n=n,
        ),
        "calibration.png": partial(
            curves.plot_calibration,
            [band.mean_probability for band in evaluation.calibration],
            [band.share_covid for band in evaluation.calibration],
            [band.xrays for band in evaluation.calibration],
            slope=figures.calibration_slope,
            error=figures.calibration_error,
            n=n,
        ),
        "decision.png": partial(
            curves.plot_decision,
            [point.threshold for point in evaluation.decision],
            [point.model for point in evaluation.decision],
            [point.everybody for point in evaluation.decision],
            prevalence=evaluation.prevalence,
            n=n,
        ),
        "slices.png": partial(
            plot_slices,
            [ForestLine(f"{part.name}: {part.value} ({part.xrays})", part.auroc, part.remark) for part in shown]
            or [ForestLine("no slice", None, "too few")],
            overall=figures.auroc,
            n=n if len(shown) == len(evaluation.slices) else f"{n}; slices under {TOO_FEW_XRAYS}: too few",
        ),
    }


def find_thresholds(evaluation: Evaluation) -> list[tuple[float, float]]:
    """Where `positive` begins and where `negative` ends on the ROC plot: (1 - specificity, sensitivity) of both.

    From the counts at the operating point: the stored curve is thinned and lacks points on straight lines.
    """
    covid, normal = evaluation.confusion_covid, evaluation.confusion_normal
    if not evaluation.covid.xrays or not evaluation.normal.xrays:
        return []
    return [
        (normal.positive / evaluation.normal.xrays, covid.positive / evaluation.covid.xrays),
        (
            (normal.positive + normal.refer) / evaluation.normal.xrays,
            (covid.positive + covid.refer) / evaluation.covid.xrays,
        ),
    ]


def _plan_scores(
    scores: NDArray[np.float32], is_covid: NDArray[np.bool_], point: OperatingPoint, evaluation: Evaluation
) -> Plot:
    return partial(
        curves.plot_scores,
        scores[is_covid].tolist(),
        scores[~is_covid].tolist(),
        lower=point.lower,
        upper=point.upper,
        n=count_test(evaluation),
    )


def _plan_attention(test: Side, classifier: KerasClassifier, scores: NDArray[np.float32]) -> Plot:
    """The first test X-rays of each class above what speaks for covid in them."""
    places = np.concatenate([np.flatnonzero(test.is_covid)[:_HEATED], np.flatnonzero(~test.is_covid)[:_HEATED]])
    return partial(
        plot_heat_sheet,
        test.images[places],
        grad_cam(classifier, test.images[places]),
        [test.xrays[place].label for place in places],
        [float(scores[place]) for place in places],
        n="test side",
    )
