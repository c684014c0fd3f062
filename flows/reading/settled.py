"""How far the labels of this home are settled."""

from __future__ import annotations

from db.engine import snapshot
from db.reading.opinions import read_opinions
from flows.home.ledger import open_ledger
from flows.settings import Settings
from xray_core.reading.settled import count_settlements


def read_settlements(settings: Settings) -> dict[str, int]:
    """How many films are agreed, single, disputed and adjudicated."""
    with open_ledger(settings) as engine, snapshot(engine) as session:
        return count_settlements(read_opinions(session))
