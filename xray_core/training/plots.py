"""The plots of a training, by file name: each as a call that any process can make."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xray_core.evaluation.evaluation import Evaluation
from xray_core.evaluation.shortcut_audit import BLIND, CONFOUNDED_FROM, CORNERS, SUSPECT_FROM, Finding, ShortcutAudit
from xray_core.models.records import OperatingPoint
from xray_core.networks.fitting import Trained
from xray_core.networks.heat_maps import grad_cam
from xray_core.networks.keras_classifier import KerasClassifier
from xray_core.processes.helper_process import BackgroundCall, Call, HelperProcess
from xray_core.promotion.evidence import GateEvidence
from xray_core.promotion.gate import measure_difference
from xray_core.promotion.looks import Look
from xray_core.promotion.policy import GateTest
from xray_core.records import AuditVerdict, Interval, Outcome, Split
from xray_core.report import curves
from xray_core.report.forest import ForestLine, plot_comparison, plot_shortcut_audit
from xray_core.report.image_sheets import plot_heat_sheet
from xray_core.training.evaluation_plots import count_test, plan_evaluation
from xray_core.training.images import Side, TrainingImages

if TYPE_CHECKING:
    from xray_core.training.trial import Trial

Plot = Call[bytes]

_HEATED = 3
_COMPARED = {
    "AUROC": "auroc",
    "average precision": "auprc",
    "sensitivity at the lower threshold": "sensitivity_at_lower",
    "specificity at the lower threshold": "specificity_at_lower",
    "sensitivity at the upper threshold": "sensitivity_at_upper",
    "specificity at the upper threshold": "specificity_at_upper",
    "referred (low is good)": "refer_share",
    "accuracy": "accuracy",
    "Brier score (low is good)": "brier",
}


def begin_plots(trial: Trial, helper: HelperProcess, gate: GateTest) -> dict[str, BackgroundCall[bytes]]:
    """Have every plot drawn as PNG by the helper process, and do not wait; `gate` has the margin that decides."""
    begun = {name: helper.begin(plot) for name, plot in plan_plots(trial, gate).items()}
    return {"first_xrays.png": trial.groundwork.first_xrays} | begun


def plan_plots(trial: Trial, gate: GateTest) -> dict[str, Plot]:
    """Every plot that needs the network, as a call; candidate beside champion only where there is a champion."""
    images, trained, judgement = trial.images, trial.trained, trial.judgement
    test = judgement.side
    planned: dict[str, Plot] = {
        **({"learning.png": _plan_learning(trained, images)} if trained.history else {}),
        **plan_evaluation(judgement.candidate, judgement.audit.verdict),
        "scores.png": _plan_scores(judgement.scores, test.is_covid, judgement.operating_point, judgement.candidate),
        "audit.png": partial(draw_audit, judgement.audit),
        "attention.png": _plan_attention(test, trained.classifier, judgement.scores, judgement.operating_point),
    }
    if judgement.champion is not None and judgement.champion_evidence is not None:
        planned["comparison.png"] = partial(
            draw_comparison,
            {
                words: (getattr(judgement.champion.figures, name), getattr(judgement.candidate.figures, name))
                for words, name in _COMPARED.items()
            },
            judgement.evidence,
            judgement.champion_evidence,
            gate,
            look=judgement.beside.look,
            n=count_test(judgement.candidate),
        )
    return planned


def draw_comparison(
    figures: Mapping[str, tuple[Interval | None, Interval | None]],
    candidate: GateEvidence,
    champion: GateEvidence,
    gate: GateTest,
    *,
    look: Look,
    n: str,
) -> bytes:
    """The figures of both, and above them the paired difference with the margin that the gate holds it to."""
    difference = measure_difference(candidate, champion, gate, look)
    return plot_comparison(
        figures,
        champion=champion.version,
        candidate=candidate.version,
        difference=Interval(difference.value, difference.low, difference.high),
        margin=gate.margin,
        n=n,
    )


def draw_audit(audit: ShortcutAudit) -> bytes:
    """Every finding of a shortcut audit with its interval."""
    return plot_shortcut_audit(
        [_describe_finding(finding) for finding in audit.findings],
        [finding.verdict for finding in audit.findings],
        suspect_from=SUSPECT_FROM,
        confounded_from=CONFOUNDED_FROM,
        verdict=audit.word,
        n=f"{audit.xrays} X-rays of {audit.patients} patients",
    )


def _describe_finding(finding: Finding) -> ForestLine:
    """On which sides of chance its AUC is judged, and its verdict where that is not what the zone says."""
    if finding.name == "centre":
        return ForestLine(finding.name, finding.auc, "no verdict: the lungs", "none")
    if finding.name == CORNERS:
        return ForestLine(finding.name, finding.auc, f"{finding.verdict.value}, by what masking loses", "none")
    if finding.is_chance:
        return ForestLine(
            finding.name, finding.auc, "no better than chance", "both" if finding.name == BLIND else "above"
        )
    if finding.name == BLIND:
        return ForestLine(finding.name, finding.auc, zones="both")
    at_most = finding.verdict is AuditVerdict.SUSPECT and finding.auc.low >= CONFOUNDED_FROM
    return ForestLine(finding.name, finding.auc, "suspect at most" if at_most else "")


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


def _plan_attention(
    test: Side, classifier: KerasClassifier, scores: NDArray[np.float32], point: OperatingPoint
) -> Plot:
    """Test X-rays of each class above what speaks for covid in them, the worst errors first."""
    wrongness = np.where(test.is_covid, 1 - scores, scores)
    worst = np.argsort(-wrongness, kind="stable")
    chosen = {place for covid in (True, False) for place in worst[test.is_covid[worst] == covid][:_HEATED].tolist()}
    places = [place for place in worst.tolist() if place in chosen]
    return partial(
        plot_heat_sheet,
        test.images[places],
        grad_cam(classifier, test.images[places]),
        [test.xrays[place].label for place in places],
        [float(scores[place]) for place in places],
        outcomes=[_say_outcome(point.outcome(float(scores[place])), bool(test.is_covid[place])) for place in places],
        n="of each class those that the model was most wrong about",
    )


def _say_outcome(outcome: Outcome, is_covid: bool) -> str:
    if outcome is Outcome.REFER:
        return "to a reader"
    if (outcome is Outcome.POSITIVE) == is_covid:
        return "right"
    return "MISSED" if is_covid else "FALSE ALARM"
