"""Is every film still there that was scored or labelled, byte by byte? And those that an operator has let go."""

from __future__ import annotations

import errno
import hashlib
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from db.engine import snapshot, transaction
from db.scoring import whereabouts
from flows.home.films import list_places_on_the_way, make_locator
from flows.home.ledger import open_ledger
from flows.settings import Settings
from xray_core.records import escape_name

_OnProgress = Callable[[int], None]
_HEX = 64


@dataclass(frozen=True, slots=True)
class FilmCheck:
    """How many films should be there, those that are not (X-ray id and escaped path), and what is known of others.

    `altered` are escaped paths of files whose bytes changed behind the same size and time; `replaced` films have
    another file under their name, which the next scan will score.
    """

    films: int
    missing: tuple[tuple[int, str], ...]
    altered: tuple[str, ...]
    replaced: int
    let_go: int

    def sentence(self) -> str:
        """For people, when nothing is missing."""
        there = self.films - self.replaced - self.let_go
        parts = [f"{there} of {self.films} films have the bytes that were scored or labelled"]
        parts += [f"{self.replaced} were replaced and wait for a scan"] if self.replaced else []
        parts += [f"{self.let_go} are gone and were let go by a person"] if self.let_go else []
        return "; ".join(parts)

    def find_breach(self) -> str | None:
        """What is wrong, and the way out."""
        if self.altered:
            return f"{self.altered[0]}: its bytes changed behind the same size and time"
        if not self.missing:
            return None
        paths = "".join(f"\n    {path}" for _, path in self.missing)
        return (
            f"{len(self.missing)} of {self.films} films that were scored or labelled are missing: put them back where "
            f"they lay, or let them go by `xray verify --let-go`:{paths}"
        )


def check_films(settings: Settings, session: Session, *, on_progress: _OnProgress = lambda _: None) -> FilmCheck:
    """Read every film once; what is not where it arrived may be in the archive or in a dataset."""
    locate = make_locator(settings)
    there: set[int] = set()
    replaced: set[int] = set()
    altered: list[str] = []
    for file in whereabouts.iter_scored_files(session):
        path = locate(file.path)
        if not _is_untouched(path, file):
            replaced |= {file.xray_id} if os.path.lexists(path) else set()
        elif _hash(path) == file.sha256:
            there.add(file.xray_id)
            on_progress(1)
        else:
            altered.append(escape_name(path))
    known_gone = whereabouts.read_let_go(session)
    counts: Counter[str] = Counter()
    missing: list[tuple[int, str]] = []
    for film in whereabouts.iter_films(session):
        counts["films"] += 1
        path = locate(film.path)
        if film.xray_id in there:
            continue
        if (found := _hash(path)) == film.sha256:
            on_progress(1)
        elif any(_hash(place) == film.sha256 for place in list_places_on_the_way(settings, film.path, film.sha256)):
            on_progress(1)  # a scan moves it, or was killed: the next one finishes
        elif film.xray_id in known_gone:
            counts["let go"] += 1
        elif film.xray_id in replaced and not film.is_labelled:
            counts["replaced"] += 1
        else:
            missing.append((film.xray_id, f"{escape_name(path)} ({'other bytes' if len(found) == _HEX else found})"))
    return FilmCheck(counts["films"], tuple(missing), tuple(altered), counts["replaced"], counts["let go"])


def let_missing_go(settings: Settings, *, on_progress: _OnProgress = lambda _: None) -> int:
    """Take it as known that what is missing now is gone; how many. It stands in the audit log, film by film."""
    with open_ledger(settings) as engine:
        with snapshot(engine) as session:
            missing = check_films(settings, session, on_progress=on_progress).missing
        with transaction(engine) as session:
            return whereabouts.let_go(
                session, [xray_id for xray_id, _ in missing], actor="operator (verify)", now=datetime.now(UTC)
            )


def _is_untouched(path: bytes, file: whereabouts.ScoredFile) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns) == (file.size, file.mtime_ns)


def _hash(path: bytes) -> str:
    """The SHA-256 of a file, or why it cannot be read: `ENOENT`."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "unreadable")
