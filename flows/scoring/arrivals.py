"""Which files of the incoming folder wait for a scan, and when the next one of those that are deferred will."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.orm import Session

from db.engine import snapshot
from db.registry import models
from db.scoring import claims
from flows.home.ledger import open_ledger, record_folder
from flows.settings import Settings
from xray_core.exchange.patient_sidecar import ENDING as SIDECAR_ENDING
from xray_core.imaging.folder import find_files, holds_fewer_than, sign_all
from xray_core.imaging.records import FileSeen
from xray_core.records import FolderKind, PatientSource

# A lookup costs about three times of reading the next signature in a row.
_READ_WHOLE_FROM = 3


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Whether a scan would find anything to do now, and when the next deferred file is due.

    `has_champion` is false where nothing can be scored; nobody has looked into the folder then.
    """

    has_champion: bool
    is_waiting: bool = False
    next_look: datetime | None = None


def find_arrivals(settings: Settings) -> Arrivals:
    """Ask the ledger and walk the folder until the first file that is new, changed or due again; opens no film."""
    with open_ledger(settings) as engine:
        folder_id, now = record_folder(settings, engine, FolderKind.INCOMING), datetime.now(UTC)
        with snapshot(engine) as session:
            if models.champion(session) is None:
                return Arrivals(has_champion=False)
            known = read_known(session, settings.incoming_dir, folder_id)
            next_look = claims.next_look(session, folder_id, now)
    return Arrivals(True, any(True for _ in find_undecided(settings, folder_id, known)), next_look)


def read_known(session: Session, incoming: Path, folder_id: int) -> array[int]:
    """The signatures, ascending, of what is decided: looked up where the folder is small beside the history, else all.

    So the cost of a scan follows what the folder lists, whatever was scored in the years before.
    """
    now = datetime.now(UTC)
    if not holds_fewer_than(incoming, claims.newest_file_id(session) // _READ_WHOLE_FROM):
        return claims.decided_signatures(session, now)
    return claims.decided_among(session, sign_all(incoming, folder_id), now)


def find_undecided(settings: Settings, folder_id: int, known: array[int]) -> Iterator[FileSeen]:
    """The files of the incoming folder that the ledger has not decided on; `known` as for `find_files`."""
    has_sidecars = settings.patient_from is PatientSource.SIDECAR
    for seen in find_files(settings.incoming_dir, folder_id, known):
        if not (has_sidecars and seen.name.endswith(SIDECAR_ENDING)):
            yield seen
