"""What a scan asks of the place where films arrive: a folder, or a bucket."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import Engine

from db.records import ClaimedFile, StayingFilm
from flows.settings import Settings
from xray_core.imaging.records import FileSeen

if TYPE_CHECKING:  # a scan that archives nothing need not import what does
    from flows.scoring.film_move import NotMoved
    from xray_core.exchange.patient_sidecar import PatientSidecar
    from xray_core.processes.decoding import DecodeRequest


class FilmStore(Protocol):
    """Films by their names, listed, looked at, read and moved; `directory` is where decoders open them themselves."""

    directory: Path | None

    def list(self, engine: Engine, folder_id: int) -> Iterator[FileSeen]:
        """What the ledger has not decided on: new, changed or due again. Opens no film. Raises NoBucket."""

    def remember(self) -> None:
        """All that was listed has been decided on: the next listing may begin after it."""

    def look_up(self, name: bytes) -> FileSeen | None:
        """The film as it is now, None where there is none. Raises UnreadableXray where nobody can tell."""

    def is_settled(self, seen: FileSeen) -> bool:
        """Whether nobody writes to it any more."""

    def read(self, files: Iterable[ClaimedFile]) -> Iterator[tuple[ClaimedFile, DecodeRequest]]:
        """What a decoder takes for each film: where it opens it, or its bytes."""

    def read_sidecar(self, name: bytes) -> PatientSidecar | None:
        """Whose film it is by what lies beside it, where the settings say to look. Raises UnreadableXray."""

    def move(self, film: StayingFilm) -> str | NotMoved:
        """Move a scored film to the archive; its name there, or why it has none. Raises OSError."""


def open_store(settings: Settings, *, whole: bool = False) -> FilmStore:
    """The place where this home's films arrive. Raises NoBucket where the extra for buckets is not installed.

    `whole` has a large bucket listed from its first key on, which else happens once a day.
    """
    if settings.incoming_bucket is not None:
        from flows.scoring.bucket_store import BucketStore

        return BucketStore(settings, settings.incoming_bucket, whole=whole)
    from flows.scoring.folder_store import FolderStore

    return FolderStore(settings)
