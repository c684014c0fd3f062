"""Is a retraining due? The ledger knows; an event only says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from db.engine import snapshot
from db.reading.labelled import read_labelled, read_labelled_before
from db.records import TrainingRun, TrainingState
from db.registry import evaluations, models, training_runs
from db.scoring import patients, xrays
from flows.home.ledger import open_ledger
from flows.home.process_lock import is_scanner_alive
from flows.home.site_key import is_key_withheld, read_site_key
from flows.registry.policy import read_policy
from flows.registry.standing import DRIFT_SET
from flows.settings import Settings
from flows.training.remedies import find_unnamed_base, read_taken_over, sign_training
from xray_core.errors import IncompatibleModel
from xray_core.models.folder import read_manifest
from xray_core.promotion.due import Due, TrainingHistory, count_labels, is_retraining_due
from xray_core.promotion.judged_on import JudgedOn, count_judges, say_held
from xray_core.promotion.policy import RetrainingPolicy
from xray_core.records import Held, LabelledXray, Split, Verdict, plural
from xray_core.training.implausible_patients import doubt_patients
from xray_core.training.left_out import FilmChoice, find_choice, read_choice
from xray_core.training.split import TrainingSet, digest_label_set, plan_training_set

# What starts by hand says nothing about how often retraining may start by itself.
AUTOMATIC = "event"
_TAKEN = "`xray models list` shows it; new labels make another"


@dataclass(frozen=True, slots=True)
class RetrainingDue:
    """Whether a retraining is due and why (not); `claimed` when somebody trains on these labels, or has.

    `judged_on` is whom a candidate would be judged on, `held` are X-rays that no training takes, by reason.
    """

    decision: Due
    claimed: bool
    new_labels: int
    judged_on: JudgedOn
    held: Mapping[Held, int]

    @property
    def due(self) -> bool:
        """Whether the policy calls for one."""
        return self.decision.due

    @property
    def reason(self) -> str:
        """Why it is due, or why not and the way out, in one sentence."""
        return self.decision.reason

    def tell_labels(self) -> list[str]:
        """Lines on the labels that count, and on those that do not."""
        return [f"the test side judges on {self.judged_on}", *say_held(self.held, "not trained on")]


def read_due(settings: Settings) -> RetrainingDue:
    """Ask the ledger, by the retraining policy in force."""
    with open_ledger(settings) as engine, snapshot(engine) as session:
        return _read_due(session, settings)


def _read_due(session: Session, settings: Settings) -> RetrainingDue:
    now = datetime.now(UTC)
    policy = read_policy(settings)
    options = read_taken_over(settings, policy)
    choice = find_choice(options)
    trainings = _find_alike(settings, training_runs.list_trainings(session), choice)
    last = max(trainings, key=lambda run: (run.finished_at or now, run.run_id), default=None)
    everything = read_labelled(session, policy.labels)
    labelled = choice.choose(everything)
    upto = last.label_watermark if last else 0
    before = choice.choose(read_labelled_before(session, policy.labels, everything, upto=upto))
    ours, plan, unplaced = _plan(session, settings, labelled, policy)
    left_out = plan.count_held(Split.TEST)
    counts = count_labels(ours, before, plan.sides, left_out, unknown_may_judge=policy.test.unknown_may_judge)
    digest = digest_label_set(labelled)
    said = patients.digest_said(session, [xray.sha256 for xray in labelled if xray.counts])
    claimed = training_runs.is_claimed(
        session,
        sign_training(digest, options, patients_sha256=said),
        now=now,
        is_alive=lambda trainer: is_scanner_alive(settings.home / "run", trainer),
    )
    history = _read_history(trainings)
    decision = is_retraining_due(counts, policy, history, now=now, has_drifted=_has_drifted(session))
    if decision.due and (unnamed := find_unnamed_base(settings, options)):
        decision = unnamed
    if decision.due and claimed:
        decision = replace(decision, finding="a training of these labels is at work or done", way_out=_TAKEN)
    judged_on = count_judges(plan.test, left_out)
    held = plan.count_held(Split.TRAIN, Split.VALIDATION)
    decision = replace(decision, finding=decision.finding + _say_unplaced(unplaced))
    return RetrainingDue(decision, claimed, counts.new_labels, judged_on, held)


def _plan(
    session: Session, settings: Settings, labelled: Sequence[LabelledXray], policy: RetrainingPolicy
) -> tuple[list[LabelledXray], TrainingSet, int]:
    """What a training would take, and on which sides; what only pixels show, such as doubles, is not looked for.

    The number is of X-rays that are left out because this user may not read the key that draws their side.
    """
    external = evaluations.external_xrays(session)
    ours, _ = doubt_patients([xray for xray in labelled if xray.sha256 not in external])
    frozen, key, placed = xrays.read_splits(session), b"", ours
    if is_key_withheld(settings):
        placed = [xray for xray in ours if xray.group in frozen]  # no side is drawn of these, so no key is asked for
    else:
        key = read_site_key(settings)
    plan = plan_training_set(placed, frozen, key, labelled=placed, unknown_may_judge=policy.test.unknown_may_judge)
    return placed, plan, sum(xray.counts for xray in ours) - sum(xray.counts for xray in placed)


def _say_unplaced(unplaced: int) -> str:
    if not unplaced:
        return ""
    return f"; not counted: {plural(unplaced, 'labelled X-ray')} of new patients, whose sides need the site key"


def _has_drifted(session: Session) -> bool:
    """What the newest drift check of today's champion came to."""
    champion = models.champion(session)
    if champion is None:
        return False
    drift = evaluations.latest_figures(session, version=champion.version, set_name=DRIFT_SET)
    return drift is not None and bool(drift["moved"])


def _find_alike(settings: Settings, trainings: Sequence[TrainingRun], choice: FilmChoice) -> list[TrainingRun]:
    """The trainings that ended and took the same kind of films as the next one.

    A model of this site's labels alone, made by hand, takes nothing from a loop that learns all labels, nor the other
    way round: to the other kind those labels are new still.
    """
    ended = (run for run in trainings if run.state is TrainingState.FINISHED)
    return [run for run in ended if _read_choice(settings, run) in (choice, None)]


def _read_choice(settings: Settings, run: TrainingRun) -> FilmChoice | None:
    """What a training took; None where its model's folder cannot tell any more."""
    try:
        return read_choice(read_manifest(settings.models_dir / str(run.candidate_version)).training)
    except IncompatibleModel:
        return None


def _read_history(trainings: list[TrainingRun]) -> TrainingHistory:
    """The newest training comes first; only what began by itself counts."""
    ended = [run for run in trainings if run.trigger == AUTOMATIC]
    rejections = 0
    for run in ended:
        if run.verdict is not Verdict.REJECT:
            break
        rejections += 1
    return TrainingHistory(last_automatic=ended[0].finished_at if ended else None, rejections_in_a_row=rejections)
