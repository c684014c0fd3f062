"""Whether labels are claimed, asked as a test does: whatever else stands in the way of a retraining."""

from __future__ import annotations

from db.engine import snapshot
from flows.home.ledger import open_ledger
from flows.registry.policy import read_policy
from flows.settings import Settings
from flows.training.due import are_labels_claimed
from flows.training.remedies import read_taken_over


def are_claimed(settings: Settings) -> bool:
    """Whether somebody makes the next retraining of the labels as they are now, or has."""
    options = read_taken_over(settings, read_policy(settings))
    with open_ledger(settings) as engine, snapshot(engine) as session:
        return are_labels_claimed(session, settings, options)
