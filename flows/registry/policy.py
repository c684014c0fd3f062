"""The retraining policy in force."""

from __future__ import annotations

from flows.home.initiation import POLICY_FILE
from flows.settings import Settings
from xray_core.promotion.policy import RetrainingPolicy, read_retraining_policy


def read_policy(settings: Settings) -> RetrainingPolicy:
    """Read `XRAY_RETRAINING_POLICY`, else the home's own policy, else the one that came along.

    `XRAY_RETRAIN_AFTER` replaces its number of new labels, `XRAY_PREVALENCE` its prevalence.
    """
    own = settings.home / POLICY_FILE
    path = settings.retraining_policy if "retraining_policy" in settings.model_fields_set else own
    return read_retraining_policy(
        path if path.exists() or path != own else settings.retraining_policy,
        retrain_after=settings.retrain_after,
        prevalence=settings.prevalence,
    )
