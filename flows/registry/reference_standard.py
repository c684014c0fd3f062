"""Who said what the films show that models learn from and are judged on: the readers, and how far they agree."""

from __future__ import annotations

from sqlalchemy.orm import Session

from db.engine import snapshot
from db.reading.films import read_outcomes
from db.reading.opinions import read_opinions
from db.reading.readings import read_groups, read_names, read_readings
from db.reading.said import SaidOfFilms
from db.registry import models
from flows.home.ledger import open_ledger
from flows.settings import Settings
from xray_core.reading.most_read import MostRead, find_shared, measure_most_read
from xray_core.reading.readers_report import ReadersReport, make_readers_report
from xray_core.reading.settled import count_settlements


def read_readers_report(settings: Settings) -> ReadersReport:
    """The report of all readings in the ledger."""
    with open_ledger(settings) as engine, snapshot(engine) as session:
        return gather_readers_report(session)


def gather_most_read(session: Session, said: SaidOfFilms) -> MostRead | None:
    """The two readers who have most films in common; None where no two read one film."""
    shared = find_shared(said.opinions, said.films)
    if shared is None:
        return None
    return measure_most_read(shared, read_groups(session, list(shared.words)), read_names(session))


def gather_readers_report(session: Session) -> ReadersReport:
    """The same in a snapshot that is open."""
    champion = models.champion(session)
    return make_readers_report(
        read_readings(session),
        read_names(session),
        count_settlements(read_opinions(session)),
        read_outcomes(session, champion.model_id) if champion else {},
    )
