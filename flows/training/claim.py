"""The right to train on one label set: claimed, renewed, given back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine

from db.engine import transaction
from db.reading.labelled import read_labelled
from db.registry import training_runs
from db.scoring import labels, patients
from flows.home.folders import check_free_space, tidy_home
from flows.home.ledger import open_ledger
from flows.home.process_lock import hold_scanner_lock, is_scanner_alive
from flows.home.public_errors import say_publicly
from flows.registry.policy import read_policy
from flows.settings import Settings
from flows.training.remedies import sign_training
from xray_core.networks.options import TrainingOptions
from xray_core.processes.resources import keep_freed_memory
from xray_core.records import LabelledXray
from xray_core.training.left_out import check_sources, find_choice
from xray_core.training.split import digest_label_set

# Longer than any training on the machines this is made for.
LEASE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Trainer:
    """A process that trains: its ledger, and the name of the lock by which others see that it lives."""

    settings: Settings
    engine: Engine
    name: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to train on one label set, held by this process alone; `labelled` are all labelled X-rays of then."""

    run_id: int
    labelled: Sequence[LabelledXray]
    label_set_sha256: str
    trigger: str


@contextmanager
def open_trainer(settings: Settings) -> Iterator[Trainer]:
    """Open the ledger for one training, under a lock that tells others that this process lives."""
    keep_freed_memory()
    with open_ledger(settings) as engine:
        check_free_space(settings)
        tidy_home(settings)
        with hold_scanner_lock(settings.home / "run") as name:
            yield Trainer(settings, engine, name)


def check_weights(options: TrainingOptions) -> None:
    """Raise RefusedInput when the options name weights that are no file: before a film is read, or labels claimed."""
    if options.weights is not None:
        from xray_core.networks.architectures import check_weights_file

        check_weights_file(options.architecture, options.weights)


def claim_labels(
    trainer: Trainer, options: TrainingOptions, *, trigger: str, flow_run_id: str | None = None
) -> Claim | None:
    """Claim the labels as they are now, or None where a training of just these labels was claimed before.

    Other remedies, or another augmentation, make another training of the same labels. Raises RefusedInput before
    anything is claimed when `options` name weights that are no file, or a source of which nothing here comes.
    """
    check_weights(options)
    with transaction(trainer.engine) as session:
        policy = read_policy(trainer.settings)
        everything = read_labelled(session, policy.labels)
        check_sources(options.excluded_sources, everything)
        labelled = find_choice(options).choose(everything)
        digest = digest_label_set(labelled)
        said = patients.digest_said(session, [xray.sha256 for xray in labelled if xray.counts])
        run_id = training_runs.claim_training(
            session,
            sign_training(digest, options, patients_sha256=said),
            watermark=labels.label_watermark(session),
            scanner=trainer.name,
            now=datetime.now(UTC),
            lease_seconds=LEASE_SECONDS,
            is_alive=lambda name: is_scanner_alive(trainer.settings.home / "run", name),
            trigger=trigger,
            policy_sha256=policy.sha256,
            flow_run_id=flow_run_id,
        )
    return None if run_id is None else Claim(run_id, everything, digest, trigger)


@contextmanager
def released_on_failure(trainer: Trainer, claim: Claim) -> Iterator[None]:
    """Give the label set back when a step fails, so that the next request may train on it."""
    try:
        yield
    except BaseException as error:
        with transaction(trainer.engine) as session:
            training_runs.fail_training(
                session, claim.run_id, scanner=trainer.name, reason=say_publicly(error), now=datetime.now(UTC)
            )
        raise
