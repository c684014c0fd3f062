"""The gate, asked by a person: a registered version beside today's champion on the frozen test X-rays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from db.engine import snapshot, transaction
from db.records import Stage
from flows.home.ledger import open_ledger
from flows.registry.models import find_model
from flows.registry.places import collect_places
from flows.registry.policy import read_policy
from flows.registry.registered import open_registered, verify_registered
from flows.registry.standing import publish_addendum
from flows.registry.test_side import collect_beside, collect_champion_evidence, collect_evidence
from flows.registry.verdicts import GateVerdict, promote_judged
from flows.settings import Settings
from flows.training.images import read_images_for
from xray_core.errors import InvalidDataset, RefusedInput
from xray_core.models.folder import ONNX_FILE
from xray_core.models.fresh_load import reproduces_in_fresh_process
from xray_core.models.open_model import OpenModel, read_probe
from xray_core.promotion.checks import check_films
from xray_core.promotion.gate import PromotionDecision, decide_promotion
from xray_core.promotion.release import say_release
from xray_core.records import Split, Verdict
from xray_core.training.images import TrainingImages
from xray_core.training.judgement import audit_images, evaluate_evidence, evaluate_places
from xray_core.training.left_out import read_choice

_ACTOR = "operator (through the gate)"


def promote_through_gate(
    settings: Settings, version: str, reason: str, *, on_progress: Callable[[int], None] = lambda _: None
) -> PromotionDecision:
    """Judge a version beside today's champion and make it champion on the verdict `promote`, and on no other.

    What the gate found is stored either way; a test side of which films cannot be read is not judged. Raises
    RefusedInput for today's champion, ModelAltered for a folder that is not what was registered, InvalidDataset where
    the test side lacks a class.
    """
    model = find_model(settings, version)
    if model.stage is Stage.CHAMPION:
        raise RefusedInput(f"{version}: is champion already; `xray models list` shows the others")
    verify_registered(settings, model)
    opened = open_registered(settings, model)
    with open_ledger(settings) as engine:
        images = read_images_for(settings, engine, opened.manifest, on_progress)
        films = check_films(images.unread)
        if images.unread.get(Split.TEST):
            words = films[0].words
            return PromotionDecision(
                Verdict.INSUFFICIENT_EVIDENCE, f"{words[:1].upper()}{words[1:]}.", False, (*films,)
            )
        _check_classes(images)
        audit_verdict = model.audit_verdict or audit_images(images, opened.classifier).verdict
        evidence = replace(
            collect_evidence(settings, opened, images),
            reproduces_probe=_loads_elsewhere(settings, opened),
            audit=audit_verdict,
            unread=images.unread,
            release=say_release(
                images.plan.of_classes,
                own_labels=read_choice(opened.manifest.training).own_labels,
            ),
        )
        champion = collect_champion_evidence(settings, engine, images)
        policy = read_policy(settings)
        places = collect_places(settings, engine, opened)
        beside = replace(collect_beside(settings, engine, images, policy.test), places=places)
        decision = decide_promotion(evidence, champion, policy, beside=beside)
        verdict = GateVerdict(
            decision,
            champion.version if champion else None,
            evaluate_evidence(evidence, policy.use),
            images.plan.label_set_sha256,
            audit_verdict,
            beside.look,
            external=evaluate_places(places, policy.use),
        )
        with transaction(engine) as session:
            promote_judged(session, model, verdict, reason=reason, actor=_ACTOR, now=datetime.now(UTC))
        with snapshot(engine) as session:
            publish_addendum(settings, session, model.version)
    return decision


def _check_classes(images: TrainingImages) -> None:
    """A model of this site's labels alone is judged on them alone, and a handful may leave the test side empty."""
    covid, normal = images.sides[Split.TEST].count_patients()
    if not covid or not normal:
        raise InvalidDataset(
            f"insufficient evidence: {covid} covid and {normal} normal patients on the test side of the films that it "
            "may be judged on; label more films of this site, `xray worklist` says which, and say whose they are: "
            "`xray patients import CSV`",
            public=True,
        )


def _loads_elsewhere(settings: Settings, opened: OpenModel) -> bool:
    manifest = opened.manifest
    folder = settings.models_dir / manifest.version
    return reproduces_in_fresh_process(
        folder / ONNX_FILE,
        manifest.preprocessing,
        manifest.output,
        read_probe(folder, manifest),
        np.array(manifest.probe_outputs, dtype=np.float32),
    )
