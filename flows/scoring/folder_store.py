"""Films that arrive in a folder: decoders open them, and a film may still be written when it is first seen."""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from db.engine import snapshot
from db.records import ClaimedFile, StayingFilm
from db.scoring import claims
from flows.home.termination import unbroken
from flows.settings import Settings
from xray_core.exchange.patient_sidecar import ENDING as SIDECAR_ENDING
from xray_core.exchange.patient_sidecar import PatientSidecar, read_sidecar
from xray_core.imaging.folder import find_files, holds_fewer_than, is_settled, look_up, sign_all
from xray_core.imaging.records import FileSeen
from xray_core.records import PatientSource

if TYPE_CHECKING:
    from flows.scoring.film_move import NotMoved
    from xray_core.processes.decoding import DecodeRequest

# A lookup costs about three times of reading the next signature in a row.
_READ_WHOLE_FROM = 3


class FolderStore:
    """The incoming folder of a home, and the folder that its scored films are moved to, if any."""

    def __init__(self, settings: Settings) -> None:
        self.directory: Path | None = settings.incoming_dir
        self._incoming = settings.incoming_dir
        self._archive = settings.archive_folder
        self._settle_seconds = settings.settle_seconds
        self._has_sidecars = settings.patient_from is PatientSource.SIDECAR

    def list(self, engine: Engine, folder_id: int) -> Iterator[FileSeen]:
        """What the ledger has not decided on. Opens no film."""
        with unbroken(), snapshot(engine) as session:
            known = _read_known(session, self._incoming, folder_id)
        for seen in find_files(self._incoming, folder_id, known):
            if not (self._has_sidecars and seen.name.endswith(SIDECAR_ENDING)):
                yield seen

    def remember(self) -> None:
        """Nothing: a folder is walked whole each time."""

    def look_up(self, name: bytes) -> FileSeen | None:
        """The file as it is now, None where there is none."""
        return look_up(self._incoming, name)

    def is_settled(self, seen: FileSeen) -> bool:
        """Whether nothing has touched it for the settle time."""
        return is_settled(seen, now_ns=time.time_ns(), settle_seconds=self._settle_seconds)

    def read(self, files: Iterable[ClaimedFile]) -> Iterator[tuple[ClaimedFile, DecodeRequest]]:
        """The names of the files: a decoder opens them."""
        from xray_core.processes.decoding import DecodeRequest

        return ((file, DecodeRequest(file.seen.name, file.seen.size, file.seen.mtime_ns)) for file in files)

    def read_sidecar(self, name: bytes) -> PatientSidecar | None:
        """Whose film it is by what lies beside it, where the settings say to look. Raises UnreadableXray."""
        return read_sidecar(os.path.join(os.fsencode(self._incoming), name)) if self._has_sidecars else None

    def move(self, film: StayingFilm) -> str | NotMoved:
        """Move a scored film to the archive; its name there, or why it has none. Raises OSError."""
        from flows.scoring.film_move import move_film

        assert self._archive is not None, "who archives has an archive"
        return move_film(self._incoming, self._archive, film)


def _read_known(session: Session, incoming: Path, folder_id: int) -> array[int]:
    """The signatures, ascending, of what is decided: looked up where the folder is small beside the history, else all.

    So the cost of a scan follows what the folder lists, whatever was scored in the years before.
    """
    now = datetime.now(UTC)
    if not holds_fewer_than(incoming, claims.newest_file_id(session) // _READ_WHOLE_FROM):
        return claims.decided_signatures(session, now)
    return claims.decided_among(session, sign_all(incoming, folder_id), now)
