"""The retraining policy in force: its file, with what the environment overrides."""

from __future__ import annotations

from flows.settings import Settings
from xray_core.retraining_policy import RetrainingPolicy, read_retraining_policy


def read_policy(settings: Settings) -> RetrainingPolicy:
    """Read `XRAY_RETRAINING_POLICY`; `XRAY_RETRAIN_AFTER` replaces its number of new labels."""
    return read_retraining_policy(settings.retraining_policy, retrain_after=settings.retrain_after)
