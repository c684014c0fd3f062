"""Which incoming files wait for a scan, and when the next one of those that are deferred will."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from db.engine import snapshot
from db.registry import models
from db.scoring import claims
from flows.home.ledger import open_ledger, record_folder
from flows.scoring.film_store import open_store
from flows.settings import Settings
from xray_core.imaging.records import FileSeen
from xray_core.records import FolderKind


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Whether a scan would find anything to do now, and when the next deferred file is due.

    `has_champion` is false where nothing can be scored; nobody has looked into the folder, or the bucket, then. `first`
    is the first film that waits, None where none does.
    """

    has_champion: bool
    first: FileSeen | None = None
    next_look: datetime | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a scan would find anything to do."""
        return self.first is not None


def find_arrivals(settings: Settings) -> Arrivals:
    """Ask the ledger and list what is there until the first file that is new, changed or due again; opens no film."""
    with open_ledger(settings) as engine:
        folder_id, now = record_folder(settings, engine, FolderKind.INCOMING), datetime.now(UTC)
        with snapshot(engine) as session:
            if models.champion(session) is None:
                return Arrivals(has_champion=False)
            next_look = claims.next_look(session, folder_id, now)
        store = open_store(settings)
        first = next(iter(store.list(engine, folder_id)), None)
        store.remember()
    return Arrivals(True, first, next_look)
