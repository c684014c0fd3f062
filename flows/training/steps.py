"""The steps of a training: each takes a trial and hands on what it has become."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from db.engine import snapshot, transaction
from db.registry import training_runs
from db.scoring import xrays
from flows.registry.models import next_version
from flows.registry.places import read_places
from flows.registry.policy import read_policy
from flows.registry.reference_standard import gather_readers_report
from flows.registry.test_side import collect_beside, collect_champion_evidence
from flows.registry.verdicts import GateVerdict, register_judged
from flows.training.claim import LEASE_SECONDS, Claim, Trainer
from flows.training.images import read_training_images
from xray_core.models.folder import hash_manifest
from xray_core.networks.quiet_keras import finish_loading, load_beside
from xray_core.networks.records import EpochRecord
from xray_core.processes.fork_server import start_fork_server
from xray_core.processes.helper_process import HelperProcess
from xray_core.records import Split
from xray_core.training.left_out import find_choice
from xray_core.training.trial import Conclusion, Trial

# Given the number of epochs, returns what shows each of them.
WatchEpochs = Callable[[int], Callable[[EpochRecord], None]]

# scikit-learn, scipy and matplotlib take a second to import: beside the fit, and not before.
_AFTER_THE_FIT = (
    "xray_core.training.candidate",
    "xray_core.training.documents",
    "xray_core.training.judgement",
    "xray_core.training.plots",
)


@dataclass(frozen=True, slots=True)
class Workbench:
    """What the steps of one training work with; the model is saved into `folder` before it is registered."""

    trainer: Trainer
    claim: Claim
    helper: HelperProcess
    folder: Path
    watch_epochs: WatchEpochs


def gather_xrays(bench: Workbench, trial: Trial) -> Trial:
    """Decode every labelled X-ray once and put it on its patient's side of the frozen split."""
    start_fork_server()
    load_beside()  # Keras is imported while the decoders work
    trainer = bench.trainer
    options = trial.options
    images = read_training_images(
        trainer.settings,
        trainer.engine,
        options.preprocessing,
        lambda _: None,
        choice=find_choice(options),
        frozen_base=options.frozen,
        labelled=bench.claim.labelled,
    )
    with transaction(trainer.engine) as session:
        now = datetime.now(UTC)
        xrays.freeze_splits(session, images.plan.new_groups, now=now)
        training_runs.renew(session, bench.claim.run_id, scanner=trainer.name, now=now, lease_seconds=LEASE_SECONDS)
    finish_loading()  # or the fit would seem a second longer than it is
    return replace(trial, images=images)


def begin_groundwork(bench: Workbench, trial: Trial) -> Trial:
    """Have done beside the fit what needs no network; and import, in a thread, what comes after it."""
    from xray_core.training import before_the_fit

    threading.Thread(target=lambda: [import_module(module) for module in _AFTER_THE_FIT], daemon=True).start()
    return replace(trial, groundwork=before_the_fit.begin_groundwork(trial.images, bench.helper))


def fit_network(bench: Workbench, trial: Trial) -> Trial:
    """Train a new network, and recalibrate it on the validation side."""
    from xray_core.training.fit import fit, recalibrate

    images, options = trial.images, trial.options
    trained = fit(images.sides, images.preprocessing, options, bench.watch_epochs(options.epochs))
    return replace(trial, trained=recalibrate(trained, images.sides[Split.VALIDATION]))


def judge_candidate(bench: Workbench, trial: Trial) -> Trial:
    """Candidate and champion on the same frozen test X-rays, and the shortcut audit."""
    from xray_core.training.judgement import judge

    settings, engine = bench.trainer.settings, bench.trainer.engine
    policy = read_policy(settings)
    judgement = judge(
        trial,
        next_version(settings.models_dir, engine, trial.options.architecture.value),
        collect_champion_evidence(settings, engine, trial.images),
        collect_beside(settings, engine, trial.images, policy.test),
        places=read_places(settings, engine, trial.options.preprocessing),
        target_sensitivity=settings.target_sensitivity,
        target_specificity=settings.target_specificity,
        use=policy.use,
        min_patients=policy.test.min_patients_per_class,
    )
    return replace(trial, judgement=judgement)


def begin_plots(bench: Workbench, trial: Trial) -> Trial:
    """Have the plots drawn while the model is saved."""
    from xray_core.training import plots

    return replace(trial, plots=plots.begin_plots(trial, bench.helper, read_policy(bench.trainer.settings).test))


def save_model(bench: Workbench, trial: Trial) -> Trial:
    """Save model and twin aside; the twin must say what Keras says, and load in a fresh process."""
    from xray_core.training.candidate import save_candidate

    return replace(trial, candidate=save_candidate(trial, bench.folder))


def ask_gate(bench: Workbench, trial: Trial) -> Trial:
    """Promote, reject, or too little to tell."""
    from xray_core.training import judgement

    return replace(trial, decision=judgement.ask_gate(trial, read_policy(bench.trainer.settings)))


def write_card(bench: Workbench, trial: Trial) -> Trial:
    """The model card with its plots; what it asks of the readers is answered from the ledger."""
    from xray_core.reading.readers_words import answer_questions
    from xray_core.training.documents import write_documents

    with snapshot(bench.trainer.engine) as session:
        report = gather_readers_report(session)
    trial = replace(trial, readers=answer_questions(report))
    return replace(trial, documents=write_documents(trial))


def conclude(bench: Workbench, trial: Trial) -> Trial:
    """Put the model's folder in place and the verdict into the ledger, in one transaction.

    A kill between the two leaves a folder that nobody scores with; the training is then given out again.
    """
    from xray_core.training.candidate import publish_candidate

    trainer, decision, judgement = bench.trainer, trial.decision, trial.judgement
    manifest = publish_candidate(trial, trainer.settings.models_dir)
    folder_sha256 = hash_manifest(trainer.settings.models_dir / manifest.version)
    verdict = GateVerdict(
        decision,
        judgement.champion_version,
        judgement.candidate,
        trial.label_set_sha256,
        judgement.audit.verdict,
        judgement.beside.look,
        external=judgement.external,
        is_whole=not trial.images.unread.get(Split.TEST),
    )
    now = datetime.now(UTC)
    with transaction(trainer.engine) as session:
        actor = f"gate ({bench.claim.trigger})"
        model = register_judged(session, manifest, folder_sha256, verdict, actor=actor, now=now)
        training_runs.finish_training(
            session,
            bench.claim.run_id,
            scanner=trainer.name,
            candidate_model_id=model.model_id,
            verdict=decision.verdict,
            reason=decision.reason,
            now=now,
        )
    is_first = judgement.champion_version is None
    return replace(trial, conclusion=Conclusion(manifest.version, decision.verdict, decision.reason, is_first))
