"""What speaks for and against a model: its scores on the frozen test X-rays, its evaluation, its shortcut audit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sqlalchemy import Engine

from db import model_registry
from db.engine import snapshot
from flows.known_scores import score_known
from flows.material import Material, Side
from flows.registered_model import open_registered
from flows.settings import Settings
from xray_core.errors import InvalidDataset
from xray_core.evaluation import Evaluation, evaluate
from xray_core.model_folder import OpenModel
from xray_core.promotion import GateEvidence
from xray_core.records import Split
from xray_core.scoring import Classifier
from xray_core.shortcuts import Finding, ShortcutAudit, audit_shortcuts


def collect_evidence(settings: Settings, opened: OpenModel, test: Side) -> GateEvidence:
    """A registered model's scores on the test X-rays, by its own preprocessing, at its own operating point.

    Raises InvalidDataset when an X-ray is not there any more: two models are judged on the same ones or not at all.
    """
    scores = score_known(settings, opened, test.xrays)
    if len(scores) < len(test.xrays):
        gone = len(test.xrays) - len(scores)
        raise InvalidDataset(f"{gone} of {len(test.xrays)} test X-rays went away while they were scored; try again")
    return GateEvidence(
        version=opened.manifest.version,
        xrays=[xray.sha256 for xray in test.xrays],
        probabilities=[scores[xray.sha256].probability for xray in test.xrays],
        is_covid=test.is_covid.tolist(),
        patients=test.groups,
        operating_point=opened.manifest.operating_point,
        slices=test.slices,
    )


def collect_champion_evidence(settings: Settings, engine: Engine, test: Side) -> GateEvidence | None:
    """The champion's scores on the same X-rays; None without one."""
    with snapshot(engine) as session:
        champion = model_registry.champion(session)
    return None if champion is None else collect_evidence(settings, open_registered(settings, champion), test)


def evaluate_evidence(settings: Settings, evidence: GateEvidence) -> Evaluation:
    """The figures of a model on the test X-rays, at the prevalence that is assumed where it is used."""
    return evaluate(
        evidence.probabilities,
        evidence.is_covid,
        evidence.patients,
        evidence.operating_point,
        prevalence=settings.prevalence,
        slices=evidence.slices,
    )


def audit_material(
    material: Material, classifier: Classifier, of_data: Sequence[Finding] | None = None
) -> ShortcutAudit:
    """The shortcut audit of a model on all its labelled X-rays; `of_data` is what `probe_data` found in them."""
    held_out = [split is not Split.TRAIN for split in Split for _ in material.sides[split].xrays]
    return audit_shortcuts(
        material.films, classifier.predict, held_out=np.array(held_out, dtype=np.bool_), of_data=of_data
    )
