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
from xray_core.errors import NoBucket, UnreadableXray
from xray_core.records import FilmPath, ReasonCode, escape_name
from xray_core.stores.bucket import Bucket
from xray_core.stores.film import BucketFilm, FilmPlace

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
    """Read every film once; what is not where it arrived may be in the archive or in a dataset.

    Raises NoBucket where a bucket is not there or does not answer: films in it are neither there nor missing.
    """
    buckets = _Buckets(settings)
    there, replaced = whereabouts.FilmNumbers(), whereabouts.FilmNumbers()
    altered: list[str] = []
    for file in whereabouts.iter_scored_files(session):
        place = buckets.find(file.path)
        now = _look(place)
        if now is None:
            continue
        if now != (file.size, file.mtime_ns, file.ctime_ns)[: len(now)]:
            replaced.add(file.xray_id)
        elif _hash(place) == file.sha256:
            there.add(file.xray_id)
            on_progress(1)
        else:
            altered.append(_say(place))
    counts, missing = _find_missing(settings, session, buckets, (there, replaced), on_progress)
    if missing:
        buckets.ask_again()
    return FilmCheck(counts["films"], tuple(missing), tuple(altered), counts["replaced"], counts["let go"])


def _find_missing(
    settings: Settings,
    session: Session,
    buckets: _Buckets,
    seen: tuple[whereabouts.FilmNumbers, whereabouts.FilmNumbers],
    on_progress: _OnProgress,
) -> tuple[Counter[str], list[tuple[int, str]]]:
    """How many films there should be, and those that are neither where they arrived nor anywhere else.

    `seen` are those that were found where they arrived, and those that have another file under their name.
    """
    there, replaced = seen
    known_gone = whereabouts.read_let_go(session)
    counts: Counter[str] = Counter()
    missing: list[tuple[int, str]] = []
    for film in whereabouts.iter_films(session):
        counts["films"] += 1
        place = buckets.find(film.path)
        if film.xray_id in there:
            continue
        if (found := _hash(place)) == film.sha256:
            on_progress(1)
        elif any(_hash(other) == film.sha256 for other in list_places_on_the_way(settings, film.path, film.sha256)):
            on_progress(1)  # a scan moves it, or was killed: the next one finishes
        elif film.xray_id in known_gone:
            counts["let go"] += 1
        elif film.xray_id in replaced and not film.is_labelled:
            counts["replaced"] += 1
        else:
            missing.append((film.xray_id, f"{_say(place)} ({'other bytes' if len(found) == _HEX else found})"))
    return counts, missing


def let_missing_go(settings: Settings, *, on_progress: _OnProgress = lambda _: None) -> int:
    """Take it as known that what is missing now is gone; how many. It stands in the audit log, film by film.

    No picture of them stays: the grey levels that are kept for trainings go, all of them, and are decoded again.
    """
    with open_ledger(settings) as engine:
        with snapshot(engine) as session:
            missing = check_films(settings, session, on_progress=on_progress).missing
        if missing and settings.greys_dir.is_dir():
            for path in settings.greys_dir.iterdir():
                path.unlink(missing_ok=True)
        with transaction(engine) as session:
            return whereabouts.let_go(
                session, [xray_id for xray_id, _ in missing], actor="operator (verify)", now=datetime.now(UTC)
            )


class _Buckets:
    """The buckets that films were looked for in. One that is not there answers for each film as if that were gone."""

    def __init__(self, settings: Settings) -> None:
        self._locate = make_locator(settings)
        self._asked: set[Bucket] = set()

    def find(self, path: FilmPath) -> FilmPlace:
        """Where a film should be, once its bucket has been found to be there. Raises NoBucket."""
        place = self._locate(path)
        if isinstance(place, BucketFilm) and place.bucket not in self._asked:
            place.bucket.ensure_there()
            self._asked.add(place.bucket)
        return place

    def ask_again(self) -> None:
        """Before films count as missing: none went away meanwhile. Raises NoBucket."""
        for bucket in self._asked:
            bucket.ensure_there()


def _look(place: FilmPlace) -> tuple[int, ...] | None:
    """By what a file, or an object, is known to be the one that was read; None where there is none.

    Not by a file's change time, which a chmod moves; an object's is its ETag.
    """
    if isinstance(place, BucketFilm):
        try:
            seen = place.bucket.look_up(place.name)
        except UnreadableXray as error:
            raise _cannot_tell(place, error) from None
        return (seen.size, seen.mtime_ns, seen.ctime_ns) if seen else None
    try:
        found = os.lstat(place)
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns)


def _hash(place: FilmPlace) -> str:
    """The SHA-256 of a film's bytes, or why they cannot be read: `ENOENT`, `GONE`."""
    if isinstance(place, BucketFilm):
        try:
            return hashlib.sha256(place.read()).hexdigest()
        except UnreadableXray as error:
            if error.reason is ReasonCode.UNREADABLE:
                raise _cannot_tell(place, error) from None
            return error.reason.value
    try:
        with os.fdopen(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "unreadable")


def _cannot_tell(film: BucketFilm, error: UnreadableXray) -> NoBucket:
    """A store that does not answer says nothing of a film: it is neither there nor missing."""
    return NoBucket(f"{film.bucket.address}: {error.detail}, so nobody can tell which films are there: try again")


def _say(place: FilmPlace) -> str:
    return f"{place.bucket.address}/{escape_name(place.name)}" if isinstance(place, BucketFilm) else escape_name(place)
