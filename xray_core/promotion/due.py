"""Whether a retraining is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from xray_core.promotion.checks import plural
from xray_core.promotion.policy import RetrainingPolicy


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """What there is to train on: trainable labels since the last training, and X-rays and patients of each class."""

    new_labels: int
    covid_xrays: int
    normal_xrays: int
    covid_patients: int
    normal_patients: int


@dataclass(frozen=True, slots=True)
class TrainingHistory:
    """What happened before: when the last training that began by itself ended, and rejections since a promotion."""

    last_automatic: datetime | None = None
    rejections_in_a_row: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """Whether a retraining is due, and one sentence why or why not."""

    due: bool
    reason: str


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
        return Due(False, have)
    xrays, patients = trigger.min_xrays_per_class, trigger.min_patients_per_class
    if min(counts.covid_xrays, counts.normal_xrays) < xrays:
        return Due(False, f"{counts.covid_xrays} covid and {counts.normal_xrays} normal X-rays; {xrays} of each wanted")
    if min(counts.covid_patients, counts.normal_patients) < patients:
        return Due(
            False,
            f"{counts.covid_patients} covid and {counts.normal_patients} normal patients; {patients} of each wanted",
        )
    rest = timedelta(hours=trigger.cool_down_hours)
    if history.last_automatic is not None and history.last_automatic <= now < history.last_automatic + rest:
        return Due(False, f"the last retraining ended less than {trigger.cool_down_hours:g} hours ago")
    return Due(True, have)
