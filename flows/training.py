"""One training, without Prefect: claim, gather, fit, judge, decide, apply."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import Engine

from db import labels, model_registry, training_runs, xrays
from db.engine import check_schema, open_engine, snapshot, transaction
from db.model_registry import ModelRecord
from flows.candidate import Candidate, load_in_fresh_process, save_candidate
from flows.home import check_free_space, read_site_key
from flows.material import Material, Side, gather_material, read_xrays
from flows.policy import read_policy
from flows.scanner_lock import hold_scanner_lock, is_scanner_alive
from flows.settings import Settings
from xray_core.evaluation import Evaluation, evaluate
from xray_core.keras_classifier import KerasClassifier
from xray_core.model_folder import open_classifier, read_manifest
from xray_core.operating_point import choose_operating_point
from xray_core.promotion import GateEvidence, PromotionDecision, decide_promotion
from xray_core.records import EpochRecord, OperatingPoint, OutputMeaning, Split, Verdict
from xray_core.scoring import Classifier
from xray_core.shortcuts import ShortcutAudit, audit_shortcuts
from xray_core.training import Trained, TrainingOptions, train_network
from xray_core.training_set import digest_label_set

# Longer than any training on the machines this is made for; a claim is renewed every epoch.
_LEASE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to train on one label set, held by this process alone."""

    run_id: int
    label_set_sha256: str
    watermark: int
    trigger: str
    flow_run_id: str | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """Candidate and champion on the same frozen test X-rays, the audit, and what the gate says of them."""

    operating_point: OperatingPoint
    candidate: Evaluation
    champion: Evaluation | None
    champion_version: str | None
    audit: ShortcutAudit
    decision: PromotionDecision


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a training came to."""

    version: str
    verdict: Verdict
    reason: str
    is_champion: bool


@contextmanager
def open_training(settings: Settings) -> Iterator[Training]:
    """Open the ledger for one training, under a lock that tells others that this process lives."""
    engine = open_engine(settings.url)
    try:
        check_schema(engine)
        check_free_space(settings)
        with hold_scanner_lock(settings.home / "run") as trainer:
            yield Training(settings, engine, trainer)
    finally:
        engine.dispose()


class Training:
    """The lifetime of one training: an engine and a claim name; each step is a method and can be a task."""

    def __init__(self, settings: Settings, engine: Engine, trainer: str) -> None:
        self._settings = settings
        self._engine = engine
        self._trainer = trainer

    def claim(self, *, trigger: str, flow_run_id: str | None = None) -> Claim | None:
        """Claim the labels as they are now, or None where a training of just these labels was claimed before."""
        with transaction(self._engine) as session:
            labelled = labels.trainable_labels(session)
            digest = digest_label_set(labelled)
            watermark = labels.label_watermark(session)
            run_id = training_runs.claim_training(
                session,
                digest,
                watermark=watermark,
                scanner=self._trainer,
                now=datetime.now(UTC),
                lease_seconds=_LEASE_SECONDS,
                is_alive=lambda trainer: is_scanner_alive(self._settings.home / "run", trainer),
                trigger=trigger,
                policy_sha256=read_policy(self._settings).sha256,
            )
        return None if run_id is None else Claim(run_id, digest, watermark, trigger, flow_run_id)

    def gather(
        self, claim: Claim, options: TrainingOptions, on_progress: Callable[[int], None] = lambda _: None
    ) -> Material:
        """Decode the labelled X-rays, split them by patient, and freeze the sides of patients that are new."""
        with snapshot(self._engine) as session:
            labelled = labels.trainable_labels(session)
            frozen = xrays.read_splits(session)
        material = gather_material(
            self._settings,
            labelled,
            frozen,
            read_site_key(self._settings),
            options.preprocessing,
            on_progress=on_progress,
        )
        with transaction(self._engine) as session:
            xrays.freeze_splits(session, material.plan.new_groups, now=datetime.now(UTC))
            training_runs.renew(
                session, claim.run_id, scanner=self._trainer, now=datetime.now(UTC), lease_seconds=_LEASE_SECONDS
            )
        return material

    def fit(self, material: Material, options: TrainingOptions, on_epoch: Callable[[EpochRecord], None]) -> Trained:
        """Train on the training side alone; the held-out curve in the history is the validation side's."""
        train, validation = material.sides[Split.TRAIN], material.sides[Split.VALIDATION]
        return train_network(
            train.images,
            train.is_covid,
            validation.images,
            validation.is_covid,
            material.preprocessing,
            options,
            on_epoch,
        )

    def judge(self, material: Material, trained: Trained, aside: Candidate) -> Judgement:
        """Lock the thresholds on validation, judge candidate and champion on test, audit, ask the gate."""
        champion = self._read_champion()
        evidence = None if champion is None else self._judge_champion(champion, material)
        policy = read_policy(self._settings)
        decision = decide_promotion(candidate_evidence, evidence, policy)
        raise NotImplementedError
