"""Moving scored films out of the incoming folder, after the commit that recorded them."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Engine

from db.engine import snapshot, transaction
from db.records import Scored, StayingFilm
from db.scoring import whereabouts, xrays
from flows.home.ledger import record_folder
from flows.home.termination import unbroken
from flows.scoring.film_move import NotMoved
from flows.scoring.film_store import FilmStore
from flows.settings import Settings
from xray_core.records import FolderKind, escape_name

_PAGE = 1000
# So many failures in a row are the archive's fault: the others would only take time.
_PATIENCE = 10


def archive_scored(settings: Settings, engine: Engine, store: FilmStore, files: Sequence[Scored]) -> None:
    """Move films that have just been scored; what fails is asked again by `archive_staying`."""
    _archive(
        settings, engine, store, [StayingFilm(file.claimed.file_id, file.claimed.seen, file.sha256) for file in files]
    )


def archive_staying(settings: Settings, engine: Engine, store: FilmStore, incoming_id: int) -> Counter[str]:
    """Move every scored film that still lies in the incoming folder; how many could not be moved, by errno's name.

    The ledger is asked, so that what an earlier scan could not move, or was killed over, is moved by this one.
    """
    failures: Counter[str] = Counter()
    after = 0
    while films := _read_page(engine, incoming_id, after):
        after = films[-1].file_id
        stopped_by = _archive(settings, engine, store, films, failures)
        if stopped_by is not None:
            with unbroken(), snapshot(engine) as session:
                failures[stopped_by] += whereabouts.count_staying(session, incoming_id, after=after)
            break
    return failures


def _read_page(engine: Engine, incoming_id: int, after: int) -> list[StayingFilm]:
    with unbroken(), snapshot(engine) as session:
        return whereabouts.read_staying(session, incoming_id, after=after, limit=_PAGE)


def _archive(
    settings: Settings,
    engine: Engine,
    store: FilmStore,
    films: Sequence[StayingFilm],
    failures: Counter[str] | None = None,
) -> str | None:
    """Move films and tell the ledger; the error for which it gave up and left the rest, if any."""
    failures = Counter() if failures is None else failures
    moved: list[tuple[StayingFilm, str]] = []
    gone: list[StayingFilm] = []
    in_a_row = 0
    try:
        for place, film in enumerate(films):
            try:
                with unbroken():
                    name = store.move(film)
            except OSError as error:
                code, in_a_row = errno.errorcode.get(error.errno or 0, "OSError"), in_a_row + 1
                failures[code] += 1
                if in_a_row == _PATIENCE:
                    failures[code] += len(films) - place - 1
                    return code
                continue
            in_a_row = 0
            if name is NotMoved.GONE:
                gone.append(film)
            elif name is not NotMoved.REPLACED:
                moved.append((film, name))
    finally:
        _record(settings, engine, moved, gone)
    return None


def _record(
    settings: Settings, engine: Engine, moved: Sequence[tuple[StayingFilm, str]], gone: Sequence[StayingFilm]
) -> None:
    if not moved and not gone:
        return
    with unbroken():
        folder_id = record_folder(settings, engine, FolderKind.ARCHIVE)
        paths = [(film.sha256, escape_name(os.fsencode(name))) for film, name in moved]
        left = [film.file_id for film in (*(film for film, _ in moved), *gone)]
        with transaction(engine) as session:
            xrays.update_paths(session, paths, folder_id=folder_id)
            whereabouts.mark_left(session, left, now=datetime.now(UTC))
