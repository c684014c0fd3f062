"""Is a retraining due? The ledger knows; an event only says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from db.engine import snapshot
from db.reading.alike import find_alike
from db.reading.labelled import read_labelled, read_labelled_before
from db.reading.opinions import find_first_unread
from db.reading.said import SaidOfFilms, read_said
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
from xray_core.networks.options import TrainingOptions
from xray_core.promotion.due import Due, TrainingHistory, count_labels, is_retraining_due
from xray_core.promotion.judged_on import JudgedOn, count_judges, say_held
from xray_core.promotion.policy import RetrainingPolicy
from xray_core.records import Held, LabelledXray, Split, Verdict, name_content_group, plural
from xray_core.training.implausible_patients import doubt_patients
from xray_core.training.left_out import FilmChoice, find_choice, read_choice
from xray_core.training.split import TrainingSet, digest_label_set, plan_training_set

# What starts by hand says nothing about how often retraining may start by itself.
AUTOMATIC = "event"
_TAKEN = "`xray models list` shows it; new labels make another"


@dataclass(frozen=True, slots=True)
class RetrainingDue:
    """Whether a retraining is due and why (not); `claimed` when somebody trains on these labels, or has.

    Of labels that call for none nobody asks who has trained on them: `claimed` is false.

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
        return gather_due(session, settings)[0]


def gather_due(session: Session, settings: Settings) -> tuple[RetrainingDue, SaidOfFilms]:
    """The same in a snapshot that is open, and what was said of all films.

    Of patients who are alike one is read, as often as there are such: a plan of fifty thousand labels takes no longer
    than one of the kinds that they are of.
    """
    now = datetime.now(UTC)
    policy = read_policy(settings)
    options = read_taken_over(settings, policy)
    choice = find_choice(options)
    trainings = _Trainings(settings, training_runs.list_trainings(session), choice)
    upto = trainings.find_watermark(now)
    said = read_said(session, since=upto)
    external = evaluations.external_xrays(session)
    alike = find_alike(session, said, external=external, unread=_find_unread(session, policy, upto))
    everything = read_labelled(session, policy.labels, among=alike.among)
    before = read_labelled_before(session, policy.labels, everything, upto=upto, among=alike.among)
    taken = [xray for xray in choice.choose(everything) if xray.sha256 not in external]
    ours, plan, unplaced = _plan(session, settings, taken, policy, numbers=alike.numbers)
    left_out = plan.count_held(Split.TEST, numbers=alike.numbers)
    counts = count_labels(
        ours,
        choice.choose(before),
        plan.sides,
        left_out,
        unknown_may_judge=policy.test.unknown_may_judge,
        numbers=alike.numbers,
    )
    decision = is_retraining_due(counts, policy, trainings.history, now=now, has_drifted=_has_drifted(session))
    if decision.due and (unnamed := find_unnamed_base(settings, options)):
        decision = unnamed
    claimed = decision.due and are_labels_claimed(session, settings, options)
    if claimed:
        decision = replace(decision, finding="a training of these labels is at work or done", way_out=_TAKEN)
    judged_on = count_judges(plan.test, left_out, numbers=alike.numbers, most=policy.test.most_judges)
    held = plan.count_held(Split.TRAIN, Split.VALIDATION, numbers=alike.numbers)
    decision = replace(decision, finding=decision.finding + _say_unplaced(unplaced))
    return RetrainingDue(decision, claimed, counts.new_labels, judged_on, held), said


def are_labels_claimed(session: Session, settings: Settings, options: TrainingOptions) -> bool:
    """Whether somebody trains with these options on the labels as they are now, or has: all of them are read."""
    labelled = find_choice(options).choose(read_labelled(session, read_policy(settings).labels))
    said = patients.digest_said(session, [xray.sha256 for xray in labelled if xray.counts])
    return training_runs.is_claimed(
        session,
        sign_training(digest_label_set(labelled), options, patients_sha256=said),
        now=datetime.now(UTC),
        is_alive=lambda trainer: is_scanner_alive(settings.home / "run", trainer),
    )


def _find_unread(session: Session, policy: RetrainingPolicy, upto: int) -> tuple[int | None, ...]:
    """The first film that nobody has read, now and at the last training, where the policy asks for it."""
    if not policy.labels.chance_test_side:
        return ()
    return find_first_unread(session), find_first_unread(session, upto=upto)


def _plan(
    session: Session,
    settings: Settings,
    labelled: Sequence[LabelledXray],
    policy: RetrainingPolicy,
    *,
    numbers: Mapping[int, int],
) -> tuple[list[LabelledXray], TrainingSet, int]:
    """What a training would take, and on which sides; what only pixels show, such as doubles, is not looked for.

    The number is of X-rays that are left out because this user may not read the key that draws their side: none of them
    stands for others.
    """
    ours, _ = doubt_patients(labelled, numbers=numbers)
    groups = {group for xray in ours for group in (xray.group, name_content_group(xray.sha256), *xray.former_groups)}
    frozen, key, placed = xrays.read_splits(session, groups), b"", ours
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


class _Trainings:
    """The trainings that ended and took the same kind of films as the next one.

    A model of this site's labels alone, made by hand, takes nothing from a loop that learns all labels, nor the other
    way round: to the other kind those labels are new still. What one took stands in its model's folder, which is opened
    of those alone that are asked about.
    """

    def __init__(self, settings: Settings, newest_first: Sequence[TrainingRun], choice: FilmChoice) -> None:
        self._settings, self._choice = settings, choice
        self._ended = [run for run in newest_first if run.state is TrainingState.FINISHED]

    def find_watermark(self, now: datetime) -> int:
        """The last label that the one of them had that ended last; 0 without one."""
        by_end = sorted(self._ended, key=lambda run: (run.finished_at or now, run.run_id), reverse=True)
        return next((run.label_watermark for run in by_end if self._is_alike(run)), 0)

    @property
    def history(self) -> TrainingHistory:
        """Only what began by itself counts."""
        by_itself = (run for run in self._ended if run.trigger == AUTOMATIC and self._is_alike(run))
        last: TrainingRun | None = None
        rejections = 0
        for run in by_itself:
            last = last or run
            if run.verdict is not Verdict.REJECT:
                break
            rejections += 1
        return TrainingHistory(last_automatic=last.finished_at if last else None, rejections_in_a_row=rejections)

    def _is_alike(self, run: TrainingRun) -> bool:
        """So is one whose model's folder cannot tell any more."""
        try:
            took = read_choice(read_manifest(self._settings.models_dir / str(run.candidate_version)).training)
        except IncompatibleModel:
            return True
        return took == self._choice
