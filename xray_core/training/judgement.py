"""What a training found out about its candidate, beside the champion, and what the gate says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from xray_core.evaluation.bootstrap import count_resamples
from xray_core.evaluation.evaluation import Evaluation, evaluate
from xray_core.evaluation.others import OtherFilms
from xray_core.evaluation.shortcut_audit import Finding, ShortcutAudit, audit_shortcuts
from xray_core.models.open_model import Classifier
from xray_core.models.operating_point import choose_operating_point
from xray_core.models.records import OperatingPoint
from xray_core.networks.last_layer import predict_both
from xray_core.promotion.evidence import Beside, GateEvidence, PlaceEvidence
from xray_core.promotion.gate import PromotionDecision, decide_promotion
from xray_core.promotion.policy import RetrainingPolicy, Use
from xray_core.promotion.release import say_release
from xray_core.records import Split
from xray_core.training.images import Side, TrainingImages

if TYPE_CHECKING:
    from xray_core.training.trial import Trial


def evaluate_evidence(evidence: GateEvidence, use: Use) -> Evaluation:
    """The figures of a model on the test X-rays, for where the policy says that it is used."""
    evaluation = evaluate(
        evidence.probabilities,
        evidence.is_covid,
        evidence.patients,
        evidence.operating_point,
        prevalence=use.prevalence,
        decision_thresholds=use.decision_thresholds,
        is_odd=evidence.is_odd,
        slices=evidence.slices,
        resamples=count_resamples(len(evidence.xrays)),
        others=evidence.others,
    )
    sampled_of = evidence.judged_on.sampled_of if evidence.judged_on else None
    return replace(evaluation, cross_validated=evidence.cross_validated, sampled_of=sampled_of)


def evaluate_places(places: Sequence[PlaceEvidence], use: Use) -> tuple[PlaceFigures, ...]:
    """A candidate's figures at each place whose films could be judged on."""
    return tuple(
        PlaceFigures(
            place.place,
            evaluate_evidence(place.candidate, use),
            dict(zip(place.candidate.xrays, place.candidate.is_covid, strict=True)),
        )
        for place in places
        if place.candidate is not None
    )


def audit_images(
    images: TrainingImages,
    classifier: Classifier,
    of_data: Sequence[Finding] | None = None,
    said: Mapping[Split, NDArray[np.float64]] | None = None,
) -> ShortcutAudit:
    """The shortcut audit of a model on all its labelled X-rays; `of_data` is what `probe_data` found in them.

    `said` are its scores P(covid) of the sides that it has not learned from, where they are known already.
    """
    held_out = [split not in images.learned for split in Split for _ in images.sides[split].xrays]
    unknown = {split: np.full(len(images.sides[split].xrays), np.nan) for split in Split}
    return audit_shortcuts(
        images.for_audit,
        classifier.predict,
        held_out=np.array(held_out, dtype=np.bool_),
        of_data=of_data,
        said=None if said is None else np.concatenate([*(unknown | dict(said)).values()]),
    )


@dataclass(frozen=True, slots=True)
class PlaceFigures:
    """A model's evaluation at a place, and which of the X-rays (by SHA-256) are covid."""

    place: str
    evaluation: Evaluation
    is_covid: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Place:
    """The films of a place that the policy names, None where they cannot be judged on, and the champion's scores."""

    name: str
    side: Side | None
    champion: GateEvidence | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """Candidate and champion on the same frozen test X-rays, and the audit.

    `side` are the X-rays that judge: the test side, or those that were learned from where cross-validation judges.
    `held_out` are the candidate's scores P(covid) (n,) of each side that was not learned from.
    `uncalibrated` are the candidate's scores P(covid) (n,) as they were before its recalibration.
    """

    evidence: GateEvidence
    side: Side
    scores: NDArray[np.float32]
    held_out: Mapping[Split, NDArray[np.float64]]
    uncalibrated: NDArray[np.float64]
    candidate: Evaluation
    champion_evidence: GateEvidence | None
    champion: Evaluation | None
    beside: Beside
    external: tuple[PlaceFigures, ...]
    audit: ShortcutAudit

    @property
    def operating_point(self) -> OperatingPoint:
        """The candidate's, chosen on validation."""
        return self.evidence.operating_point

    @property
    def champion_version(self) -> str | None:
        """Whom the candidate was compared with."""
        return None if self.champion_evidence is None else self.champion_evidence.version


def judge(
    trial: Trial,
    version: str,
    champion: GateEvidence | None,
    beside: Beside,
    *,
    places: Sequence[Place],
    target_sensitivity: float,
    target_specificity: float,
    use: Use,
    min_patients: int,
) -> Judgement:
    """Lock the thresholds, then look at candidate and champion on test, and audit.

    Thresholds are chosen on validation, or on cross-validated scores where a last layer was fitted to that side as
    well; those also judge where the test side has fewer than `min_patients` of a class.
    """
    point, others = _choose_point(trial, target_sensitivity, target_specificity), trial.images.others
    classifier, unseen, test = trial.trained.classifier, trial.trained.unseen, trial.images.sides[Split.TEST]
    said = predict_both(classifier, test.images[:])
    held_out = {**trial.trained.held_out, Split.TEST: said.probabilities.astype(np.float64)}
    audit = audit_images(trial.images, classifier, trial.groundwork.findings.result(), held_out)
    if unseen is not None and min(test.count_patients()) < min_patients:
        test, scores = trial.images.learning, unseen.probabilities.astype(np.float32)
        uncalibrated = expit(unseen.log_odds)
        champion_figures = None
    else:
        unseen, scores = None, said.probabilities
        uncalibrated = trial.trained.recalibration.undo(said.log_odds)
        champion_figures = None if champion is None else evaluate_evidence(champion, use)
    evidence = GateEvidence(
        version=version,
        xrays=[xray.sha256 for xray in test.xrays],
        probabilities=scores.tolist(),
        is_covid=test.is_covid.tolist(),
        patients=test.groups,
        is_odd=_find_odd(trial, test),
        operating_point=point,
        without_patient=trial.images.plan.without_patient,
        unread=trial.images.unread,
        slices=test.slices,
        audit=audit.verdict,
        others=OtherFilms(_predict(classifier, others), others.groups, _find_odd(trial, others)),
        judged_on=trial.images.judged_on if unseen is None else None,
        cross_validated=unseen is not None,
        release=_say_release(trial),
    )
    found = tuple(_judge_place(trial, place, evidence) for place in places)
    return Judgement(
        evidence=evidence,
        side=test,
        scores=scores,
        held_out=held_out,
        uncalibrated=uncalibrated,
        candidate=evaluate_evidence(evidence, use),
        champion_evidence=champion,
        champion=champion_figures,
        beside=replace(beside, places=found),
        external=evaluate_places(found, use),
        audit=audit,
    )


def _say_release(trial: Trial) -> str:
    return say_release(trial.images.plan.of_classes, own_labels=trial.options.own_labels)


def _judge_place(trial: Trial, place: Place, evidence: GateEvidence) -> PlaceEvidence:
    """The candidate on the films of a place, at its own operating point."""
    if place.side is None:
        return PlaceEvidence(place.name)
    side = place.side
    candidate = GateEvidence(
        version=evidence.version,
        xrays=[xray.sha256 for xray in side.xrays],
        probabilities=_predict(trial.trained.classifier, side),
        is_covid=side.is_covid.tolist(),
        patients=side.groups,
        is_odd=_find_odd(trial, side),
        operating_point=evidence.operating_point,
        slices=side.slices,
    )
    return PlaceEvidence(place.name, candidate, place.champion)


def _find_odd(trial: Trial, side: Side) -> list[bool]:
    """Which films the candidate refers whatever their score; empty where nothing is known of ordinary ones."""
    reference = trial.groundwork.reference.result()
    if reference is None or not side.xrays:
        return []
    return [oddity.reason is not None for oddity in reference.find_oddities(side.images[:])]


def _predict(classifier: Classifier, side: Side) -> list[float]:
    """P(covid) of films of which there may be none."""
    return [float(score) for score in classifier.predict(side.images[:])] if side.xrays else []


def _choose_point(trial: Trial, target_sensitivity: float, target_specificity: float) -> OperatingPoint:
    """The thresholds, from films that the model has not learned, or from scores as if it had not."""
    unseen = trial.trained.unseen
    side = trial.images.sides[Split.VALIDATION] if unseen is None else trial.images.learning
    scores = trial.trained.held_out[Split.VALIDATION] if unseen is None else unseen.probabilities
    point = choose_operating_point(
        scores,
        side.is_covid,
        side.groups,
        target_sensitivity=target_sensitivity,
        target_specificity=target_specificity,
    )
    return point if unseen is None else replace(point, chosen_on=Split.TRAIN)


def ask_gate(trial: Trial, policy: RetrainingPolicy) -> PromotionDecision:
    """What the gate says of the candidate as it was saved."""
    evidence = replace(trial.judgement.evidence, reproduces_probe=trial.candidate.reproduces_probe)
    return decide_promotion(evidence, trial.judgement.champion_evidence, policy, beside=trial.judgement.beside)
