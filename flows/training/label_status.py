"""What a status tells of the labels: what the next retraining waits for, how films are settled, how readers agree."""

from __future__ import annotations

from collections.abc import Mapping

from db.engine import snapshot
from flows.home.ledger import open_ledger
from flows.registry.reference_standard import gather_most_read
from flows.settings import Settings
from flows.training.due import RetrainingDue, gather_due
from xray_core.reading.most_read import MostRead
from xray_core.reading.settled import count_settled


def read_label_status(settings: Settings) -> tuple[RetrainingDue, Mapping[str, int], MostRead | None]:
    """Whether a retraining is due, how many films are settled in which way, and who has read most together.

    All of one moment, out of one pass over the labels.
    """
    with open_ledger(settings) as engine, snapshot(engine) as session:
        due, said = gather_due(session, settings)
        return due, count_settled(said.count()), gather_most_read(session, said)
