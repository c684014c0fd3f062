"""Is a retraining due? The ledger knows; an event only says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from db.engine import snapshot
from db.records import TrainingRun, TrainingState
from db.registry import evaluations, models, training_runs
from db.scoring import labels, patients
from flows.home.initiation import POLICY_FILE
from flows.home.ledger import open_ledger
from flows.home.process_lock import is_scanner_alive
from flows.settings import Settings
from flows.training.remedies import read_recipe, sign_training
from xray_core.promotion.due import LabelCounts, TrainingHistory, is_retraining_due
from xray_core.promotion.policy import RetrainingPolicy, read_retraining_policy
from xray_core.records import Label, Verdict
from xray_core.training.split import digest_label_set

# What starts by hand says nothing about how often retraining may start by itself.
AUTOMATIC = "event"


@dataclass(frozen=True, slots=True)
class RetrainingDue:
    """Whether a retraining is due and why (not); `claimed` when somebody trains on these labels, or has."""

    due: bool
    claimed: bool
    new_labels: int
    reason: str


def read_due(settings: Settings) -> RetrainingDue:
    """Ask the ledger, by the retraining policy in force."""
    with open_ledger(settings) as engine, snapshot(engine) as session:
        return _read_due(session, settings)


def _read_due(session: Session, settings: Settings) -> RetrainingDue:
    now = datetime.now(UTC)
    last = training_runs.last_finished(session)
    counted = labels.count_new_trainable(session, last.label_watermark if last else 0)
    policy = read_policy(settings)
    may_judge = policy.test.unknown_may_judge  # then each of them counts as a patient
    counts = LabelCounts(
        new_labels=sum(counted.new.values()),
        covid_xrays=counted.xrays.get(Label.COVID, 0),
        normal_xrays=counted.xrays.get(Label.NORMAL, 0),
        covid_patients=counted.patients[Label.COVID] + counted.unknown[Label.COVID] * may_judge,
        normal_patients=counted.patients[Label.NORMAL] + counted.unknown[Label.NORMAL] * may_judge,
    )
    trainable = labels.trainable_labels(session)
    digest = digest_label_set(trainable)
    said = patients.digest_said(session, [xray.sha256 for xray in trainable])
    claimed = training_runs.is_claimed(
        session,
        sign_training(digest, read_recipe(settings, policy), patients_sha256=said),
        now=now,
        is_alive=lambda trainer: is_scanner_alive(settings.home / "run", trainer),
    )
    history = _read_history(training_runs.list_trainings(session))
    decision = is_retraining_due(counts, policy, history, now=now, has_drifted=_has_drifted(session))
    taken = (
        "a training of these labels is at work or done (way out: `xray models list` shows it, new labels make another)"
    )
    reason = taken if decision.due and claimed else decision.reason
    return RetrainingDue(decision.due, claimed, counts.new_labels, reason)


def _has_drifted(session: Session) -> bool:
    """What the newest drift check of today's champion came to."""
    champion = models.champion(session)
    if champion is None:
        return False
    drift = evaluations.latest_figures(session, version=champion.version, set_name="drift")
    return drift is not None and bool(drift["moved"])


def _read_history(trainings: list[TrainingRun]) -> TrainingHistory:
    """The newest training comes first; only what began by itself counts."""
    ended = [run for run in trainings if run.state is TrainingState.FINISHED and run.trigger == AUTOMATIC]
    rejections = 0
    for run in ended:
        if run.verdict is not Verdict.REJECT:
            break
        rejections += 1
    return TrainingHistory(last_automatic=ended[0].finished_at if ended else None, rejections_in_a_row=rejections)


def read_policy(settings: Settings) -> RetrainingPolicy:
    """Read `XRAY_RETRAINING_POLICY`, else the home's own policy, else the one that came along.

    `XRAY_RETRAIN_AFTER` replaces its number of new labels.
    """
    own = settings.home / POLICY_FILE
    path = settings.retraining_policy if "retraining_policy" in settings.model_fields_set else own
    return read_retraining_policy(
        path if path.exists() or path != own else settings.retraining_policy, retrain_after=settings.retrain_after
    )
