"""Whether a retraining is due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from xray_core.promotion.judged_on import say_held
from xray_core.promotion.policy import RetrainingPolicy, Trigger
from xray_core.records import ONE_EACH, Held, Label, LabelledXray, Split, plural

_BY_HAND: Final = "the deployment `retrain`, run by hand, does not wait"


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """What there is to train on: trainable labels since the last training, and X-rays and patients of each class.

    `unjudged` are classes of which no X-ray judges; `left_out` says which X-rays of the test side have no say and why.
    """

    new_labels: int
    covid_xrays: int
    normal_xrays: int
    covid_patients: int
    normal_patients: int
    unjudged: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def count_labels(
    now: Sequence[LabelledXray],
    before: Sequence[LabelledXray],
    sides: Mapping[str, Split],
    left_out: Mapping[Held, int],
    *,
    unknown_may_judge: bool,
    numbers: Mapping[int, int] = ONE_EACH,
) -> LabelCounts:
    """Count labels that count on the side where their X-rays stand, and those that the last training had not.

    New is an X-ray whose label there was another one, or none: a second reader who agrees with the first adds nothing
    to learn from. `sides` holds the side of every group; X-rays of unknown patients count as none, or as one each.
    `left_out` are those of the test side that do not judge, by reason. One whose id is among `numbers` stands for so
    many, each of another patient.
    """
    side_of = {xray.sha256: sides[xray.group] for xray in now}
    had = {xray.sha256: xray.label_on(side_of[xray.sha256]) for xray in before if xray.sha256 in side_of}
    counted = [(xray, label) for xray in now if (label := xray.label_on(sides[xray.group])) is not None]
    by_label, people = Counter[Label](), Counter[Label]()
    seen: set[tuple[str, Label]] = set()
    new_labels = 0
    for xray, label in counted:
        number = numbers.get(xray.xray_id, 1)
        by_label[label] += number
        new_labels += number if had.get(xray.sha256) is not label else 0
        is_another = (xray.group, label) not in seen if xray.patient_known else unknown_may_judge
        people[label] += number if is_another else 0
        seen.add((xray.group, label))
    return LabelCounts(
        new_labels=new_labels,
        covid_xrays=by_label[Label.COVID],
        normal_xrays=by_label[Label.NORMAL],
        covid_patients=people[Label.COVID],
        normal_patients=people[Label.NORMAL],
        unjudged=tuple(label for label in (Label.COVID, Label.NORMAL) if label not in _find_judging(counted, sides)),
        left_out=say_held(left_out, "of the test side left out"),
    )


def _find_judging(counted: Sequence[tuple[LabelledXray, Label]], sides: Mapping[str, Split]) -> set[Label]:
    """The labels of X-rays on the test side."""
    return {label for xray, label in counted if sides[xray.group] is Split.TEST}


@dataclass(frozen=True, slots=True)
class TrainingHistory:
    """What happened before: when the last training that began by itself ended, and rejections since a promotion."""

    last_automatic: datetime | None = None
    rejections_in_a_row: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """Whether a retraining is due, and why or why not. `way_out` is what a person can do where it is not."""

    due: bool
    finding: str
    way_out: str

    @property
    def reason(self) -> str:
        """One sentence: why it is due, or why not and the way out."""
        return f"{self.finding} (way out: {self.way_out})" if self.way_out else self.finding

    @property
    def lines(self) -> list[str]:
        """The same for a terminal: what was found, and below it what a person can do, each in a line."""
        return [self.finding, *(f"  way out: {way}" for way in self.way_out.split("; ") if way)]


def is_retraining_due(
    counts: LabelCounts,
    policy: RetrainingPolicy,
    history: TrainingHistory,
    *,
    now: datetime,
    has_drifted: bool = False,
) -> Due:
    """Decide whether the labels call for a retraining.

    At least so many new labels, never a multiple: a jump from 9 to 12 with 10 wanted is due. After a rejection
    more are wanted, for the same data would be rejected again. Drift lowers the number.
    """
    trigger = policy.trigger
    back_off = min(trigger.back_off_limit, trigger.back_off_factor**history.rejections_in_a_row)
    wanted = round(trigger.new_labels * back_off)
    if has_drifted:
        wanted = min(wanted, trigger.drift_new_labels)
    why = " because the incoming X-rays or the scores have moved" if has_drifted else ""
    if not has_drifted and back_off > 1:
        why = f" after {plural(history.rejections_in_a_row, 'rejection')} in a row"
    have = f"{plural(counts.new_labels, 'new trainable label')} since the last training; {wanted} wanted{why}"
    if counts.new_labels < wanted:
        more = plural(wanted - counts.new_labels, "more label")
        key = _key("drift_new_labels" if has_drifted else "new_labels")
        return Due(False, have, f"{more}, `xray worklist` names films first; {_BY_HAND}, {key}")
    return _find_lack(counts, trigger) or _find_rest(history, trigger, now) or Due(True, have, "")


def _find_lack(counts: LabelCounts, trigger: Trigger) -> Due | None:
    """What each class has too little of."""
    xrays, patients = trigger.min_xrays_per_class, trigger.min_patients_per_class
    if min(counts.covid_xrays, counts.normal_xrays) < xrays:
        return Due(
            False,
            f"{counts.covid_xrays} covid and {counts.normal_xrays} normal X-rays; {xrays} of each wanted",
            f"label {_say_missing('X-ray', xrays - counts.covid_xrays, xrays - counts.normal_xrays)}; "
            f"{_BY_HAND}, {_key('min_xrays_per_class')}",
        )
    if min(counts.covid_patients, counts.normal_patients) < patients:
        missing = _say_missing("patient", patients - counts.covid_patients, patients - counts.normal_patients)
        return Due(
            False,
            f"{counts.covid_patients} covid and {counts.normal_patients} normal patients; {patients} of each wanted",
            f"label X-rays of {missing}, or say whose X-rays are by `xray patients import CSV`; "
            f"{_BY_HAND}, {_key('min_patients_per_class')}",
        )
    if counts.unjudged and counts.left_out:
        switch = "`labels.blind_test_side = false` and `labels.chance_test_side = false` of the policy let all judge"
        return Due(False, f"no {' or '.join(counts.unjudged)} X-ray judges", "; ".join((*counts.left_out, switch)))
    return None


def _find_rest(history: TrainingHistory, trigger: Trigger, now: datetime) -> Due | None:
    """Whether the last retraining ended just now."""
    last, rest = history.last_automatic, timedelta(hours=trigger.cool_down_hours)
    if last is None or not last <= now < last + rest:
        return None
    return Due(
        False,
        f"the last retraining ended less than {trigger.cool_down_hours:g} hours ago",
        f"the next import of labels after {last + rest:%H:%M} UTC starts one; {_BY_HAND}, {_key('cool_down_hours')}",
    )


def _key(name: str) -> str:
    return f"`trigger.{name}` of the policy sets it"


def _say_missing(noun: str, covid: int, normal: int) -> str:
    missing = {f"more covid {noun}": covid, f"more normal {noun}": normal}
    return " and ".join(plural(number, kind) for kind, number in missing.items() if number > 0)
