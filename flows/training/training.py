"""One training, without Prefect: claim, gather, fit, judge, decide, apply."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from db.engine import transaction
from db.registry import evaluations, models, training_runs
from db.scoring import labels, xrays
from flows.home.code_revision import read_code_revision
from flows.home.folders import check_free_space
from flows.home.ledger import open_ledger
from flows.home.process_lock import hold_scanner_lock, is_scanner_alive
from flows.home.public_errors import say_publicly
from flows.registry.models import next_version
from flows.registry.test_side import collect_champion_evidence
from flows.settings import Settings
from flows.training.due import read_policy
from flows.training.images import read_training_images
from flows.training.remedies import sign_training
from xray_core.errors import RefusedInput
from xray_core.models.folder import hash_manifest
from xray_core.models.recalibration import fit_recalibration
from xray_core.networks.fitting import Trained, TrainingOptions, train_network
from xray_core.networks.last_layer import fold_recalibration, predict_log_odds
from xray_core.networks.quiet_keras import finish_loading, load_beside
from xray_core.networks.records import EpochRecord
from xray_core.processes.fork_server import start_fork_server
from xray_core.processes.helper_process import HelperProcess
from xray_core.processes.memory import keep_freed_memory
from xray_core.records import Split, Verdict
from xray_core.training.images import TrainingImages
from xray_core.training.split import digest_label_set

if TYPE_CHECKING:
    from xray_core.promotion.gate import PromotionDecision
    from xray_core.training.before_the_fit import Groundwork
    from xray_core.training.candidate import Candidate
    from xray_core.training.judgement import Judgement

# scikit-learn, scipy and matplotlib take a second to import: beside the fit, and not before.
_AFTER_THE_FIT = (
    "xray_core.training.candidate",
    "xray_core.training.documents",
    "xray_core.training.judgement",
    "xray_core.training.plots",
)

# Longer than any training on the machines this is made for; a claim is renewed every epoch.
_LEASE_SECONDS = 3600.0


def _load_what_follows() -> None:
    for module in _AFTER_THE_FIT:
        import_module(module)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to train on one label set, held by this process alone."""

    run_id: int
    label_set_sha256: str
    watermark: int
    trigger: str
    flow_run_id: str | None


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
    keep_freed_memory()
    with open_ledger(settings) as engine:
        check_free_space(settings)
        with hold_scanner_lock(settings.home / "run") as trainer:
            yield Training(settings, engine, trainer)


class Training:
    """The lifetime of one training: an engine and a claim name; each step is a method and can be a task."""

    def __init__(self, settings: Settings, engine: Engine, trainer: str) -> None:
        self._settings = settings
        self._engine = engine
        self._trainer = trainer

    def claim(
        self, *, trigger: str, flow_run_id: str | None = None, options: TrainingOptions | None = None
    ) -> Claim | None:
        """Claim the labels as they are now, or None where a training of just these labels was claimed before.

        Other remedies (of `options`) make another training of the same labels. Raises RefusedInput before anything
        is claimed when `options` name weights that are no file.
        """
        if options is not None and options.weights is not None:
            from xray_core.networks.architectures import check_weights_file

            check_weights_file(options.architecture, options.weights)
        with transaction(self._engine) as session:
            labelled = labels.trainable_labels(session)
            digest = digest_label_set(labelled)
            watermark = labels.label_watermark(session)
            run_id = training_runs.claim_training(
                session,
                digest
                if options is None
                else sign_training(digest, options.remedies, erase_border=options.erase_border),
                watermark=watermark,
                scanner=self._trainer,
                now=datetime.now(UTC),
                lease_seconds=_LEASE_SECONDS,
                is_alive=lambda trainer: is_scanner_alive(self._settings.home / "run", trainer),
                trigger=trigger,
                policy_sha256=read_policy(self._settings).sha256,
                flow_run_id=flow_run_id,
            )
        return None if run_id is None else Claim(run_id, digest, watermark, trigger, flow_run_id)

    def gather(
        self, claim: Claim, options: TrainingOptions, on_progress: Callable[[int], None] = lambda _: None
    ) -> TrainingImages:
        """Decode the labelled X-rays, split them by patient, and freeze the sides of patients that are new."""
        start_fork_server()
        load_beside()  # Keras is imported while the decoders work
        images = read_training_images(self._settings, self._engine, options.preprocessing, on_progress)
        with transaction(self._engine) as session:
            xrays.freeze_splits(session, images.plan.new_groups, now=datetime.now(UTC))
            training_runs.renew(
                session, claim.run_id, scanner=self._trainer, now=datetime.now(UTC), lease_seconds=_LEASE_SECONDS
            )
        finish_loading()  # or the fit would seem a second longer than it is
        return images

    def fit(self, images: TrainingImages, options: TrainingOptions, on_epoch: Callable[[EpochRecord], None]) -> Trained:
        """Train on the training side alone, then recalibrate on the validation side, whose curve the history holds."""
        train, validation = images.sides[Split.TRAIN], images.sides[Split.VALIDATION]
        trained = train_network(
            train.images,
            train.is_covid,
            validation.images,
            validation.is_covid,
            images.preprocessing,
            options,
            on_epoch,
        )
        log_odds = predict_log_odds(trained.classifier, validation.images)
        recalibration = fit_recalibration(log_odds, validation.is_covid)
        fold_recalibration(trained.classifier, recalibration)
        return replace(trained, recalibration=recalibration)

    def begin_groundwork(self, images: TrainingImages, beside: HelperProcess) -> Groundwork:
        """Have done beside the fit what needs no network; and import, in a thread, what comes after it."""
        from xray_core.training.before_the_fit import begin_groundwork

        threading.Thread(target=_load_what_follows, daemon=True).start()
        return begin_groundwork(images, beside)

    def judge(
        self, images: TrainingImages, trained: Trained, groundwork: Groundwork, options: TrainingOptions
    ) -> Judgement:
        """Give the candidate its name, lock its thresholds on validation, judge it and the champion on test, audit."""
        from xray_core.training.judgement import judge

        champion = collect_champion_evidence(self._settings, self._engine, images.sides[Split.TEST])
        version = next_version(self._settings, self._engine, options.architecture.value)
        return judge(
            version,
            images,
            trained,
            groundwork,
            champion,
            target_sensitivity=self._settings.target_sensitivity,
            prevalence=self._settings.prevalence,
        )

    def save(
        self, images: TrainingImages, trained: Trained, groundwork: Groundwork, judgement: Judgement, folder: Path
    ) -> Candidate:
        """Save model, twin and history into an empty folder; the twin is checked on every held-out X-ray."""
        from xray_core.training.candidate import save_aside

        return save_aside(judgement.evidence.version, trained, images, groundwork.reference.result(), folder)

    def decide(self, judgement: Judgement, candidate: Candidate) -> PromotionDecision:
        """Ask the gate."""
        from xray_core.training.judgement import decide

        return decide(read_policy(self._settings), judgement, candidate)

    def conclude(
        self,
        claim: Claim,
        candidate: Candidate,
        options: TrainingOptions,
        judgement: Judgement,
        decision: PromotionDecision,
        documents: dict[str, bytes],
    ) -> Conclusion:
        """Put the candidate's folder in place, then in one transaction register it, promote or reject it, and end.

        A kill between the two leaves a folder that nobody scores with; the training is then given out again.
        """
        from xray_core.training.candidate import publish_candidate

        manifest = publish_candidate(
            self._settings.models_dir,
            candidate,
            options,
            judgement.operating_point,
            label_set_sha256=claim.label_set_sha256,
            code_revision=read_code_revision(),
            documents=documents,
        )
        actor, now = f"gate ({claim.trigger})", datetime.now(UTC)
        with transaction(self._engine) as session:
            champion = models.champion(session)
            if (champion.version if champion else None) != judgement.champion_version:
                raise RefusedInput(
                    "another model became champion while the candidate was judged: train again", public=True
                )
            model = models.add_model(
                session,
                manifest,
                manifest_sha256=hash_manifest(self._settings.models_dir / manifest.version),
                proven=decision.proven,
                audit_verdict=judgement.audit.verdict,
                actor=actor,
                now=now,
            )
            evaluation_id = evaluations.add_evaluation(
                session,
                model_id=model.model_id,
                set_name=Split.TEST.value,
                label_set_sha256=claim.label_set_sha256,
                figures=json.loads(judgement.candidate.to_json()),
                now=now,
            )
            # Where the evidence is insufficient it stays a candidate: more labels, or the shadow, may tell.
            if decision.verdict is not Verdict.INSUFFICIENT_EVIDENCE:
                decide = models.promote if decision.verdict is Verdict.PROMOTE else models.reject
                decide(
                    session,
                    manifest.version,
                    actor=actor,
                    reason=f"{decision.verdict.value}: {decision.reason}",
                    evaluation_id=evaluation_id,
                    now=now,
                )
            training_runs.finish_training(
                session,
                claim.run_id,
                scanner=self._trainer,
                candidate_model_id=model.model_id,
                verdict=decision.verdict,
                reason=decision.reason,
                now=now,
            )
        return Conclusion(manifest.version, decision.verdict, decision.reason, decision.verdict is Verdict.PROMOTE)

    @contextmanager
    def released_on_failure(self, claim: Claim) -> Iterator[None]:
        """Give the label set back when a step fails, so that the next request may train on it."""
        try:
            yield
        except BaseException as error:
            with transaction(self._engine) as session:
                training_runs.fail_training(
                    session, claim.run_id, scanner=self._trainer, reason=say_publicly(error), now=datetime.now(UTC)
                )
            raise
