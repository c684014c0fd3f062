"""Who said what the films show that models learn from and are judged on: the readers, and how far they agree."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from db.engine import snapshot
from db.reading.films import read_outcomes
from db.reading.opinions import read_opinions
from db.reading.readings import read_names, read_readings
from db.registry import models
from flows.home.ledger import open_ledger
from flows.settings import Settings
from xray_core.reading.most_read import MostRead, find_most_read
from xray_core.reading.readers_report import ReadersReport, make_readers_report
from xray_core.reading.settled import count_settlements


def read_readers_report(settings: Settings) -> ReadersReport:
    """The report of all readings in the ledger."""
    with open_ledger(settings) as engine, snapshot(engine) as session:
        return gather_readers_report(session)


def read_settled(settings: Settings) -> tuple[Mapping[str, int], MostRead | None]:
    """What a status tells: how many films are settled in which way, and the two readers who have most in common."""
    with open_ledger(settings) as engine, snapshot(engine) as session:
        most_read = find_most_read(read_readings(session, with_shown=False), read_names(session))
        return count_settlements(read_opinions(session)), most_read


def gather_readers_report(session: Session) -> ReadersReport:
    """The same in a snapshot that is open."""
    champion = models.champion(session)
    return make_readers_report(
        read_readings(session),
        read_names(session),
        count_settlements(read_opinions(session)),
        read_outcomes(session, champion.model_id) if champion else {},
    )
