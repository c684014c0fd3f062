"""What the service said of a film, for a reader who has given a verdict on it and whose list says so."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from db.scoring import decided
from flows.reading.heat import HeatMaps
from flows.registry.standing import read_standing
from flows.registry.withheld import read_withheld
from flows.settings import Settings
from xray_core.reading.records import ListItem
from xray_core.records import say_why_referred


def make_reveal(session: Session, settings: Settings, item: ListItem, maps: HeatMaps) -> dict[str, Any] | None:
    """Score, outcome, the champion's standing and a heat map; None where the list shows nothing of this film."""
    row = decided.find_decided(session, item.xray_id) if item.reveal else None
    if row is None or row.outcome is None or row.probability is None:
        return None
    outcome, reason = read_withheld(session, settings).show(row.model_version, row.outcome, row.refer_reason)
    return {
        "probability": f"{row.probability:.2f}",
        "outcome": None if outcome is None else outcome.value,
        "reason": say_why_referred(outcome, reason),
        "standing": read_standing(session, settings).sentence,
        "heat": maps.find(item.xray_id),
        "drawing": maps.is_drawing(item.xray_id),
    }
