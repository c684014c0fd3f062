"""Films that arrive in a bucket: this process fetches them, and each appears whole."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from db.engine import snapshot
from db.records import ClaimedFile, StayingFilm
from db.scoring import claims, decisions
from flows.home.films import list_archive_keys
from flows.home.termination import unbroken
from flows.scoring.film_move import NotMoved
from flows.scoring.listing import Listing, choose_start, find_settled, read_listing, write_listing
from flows.settings import Settings
from xray_core.errors import UnreadableXray
from xray_core.exchange.patient_sidecar import ENDING as PATIENT_ENDING
from xray_core.exchange.patient_sidecar import PatientSidecar, parse_sidecar
from xray_core.imaging.content import SIDECAR_ENDING, check_announced
from xray_core.imaging.folder import is_ignored, sign_file
from xray_core.imaging.records import FileSeen
from xray_core.records import PatientSource, ReasonCode
from xray_core.stores.bucket import Bucket, open_bucket
from xray_core.stores.film import BucketFilm

if TYPE_CHECKING:
    from xray_core.processes.decoding import DecodeRequest

# A request each; a listing tells of as many keys in one, and none of those that are gone stands before the others.
_MOST_LOOKED_UP = 1000


class BucketStore:
    """The prefix that films arrive below, and the one that scored films are moved to, if any."""

    def __init__(self, settings: Settings, address: str, *, whole: bool) -> None:
        self.directory: Path | None = None
        self._bucket = open_bucket(address)
        self._archive = settings.archive_bucket
        self._has_sidecars = settings.patient_from is PatientSource.SIDECAR
        self._note = settings.home / "run" / "listing.json"
        self._whole = whole
        self._listed: Listing | None = None

    def list(self, engine: Engine, folder_id: int) -> Iterator[FileSeen]:
        """What the ledger has not decided on, page by page: memory holds one page, whatever the bucket holds.

        A large bucket is listed from the last key of an hour ago on, and whole once a day; what was deferred is looked
        up by its key, or found by listing the whole bucket where that is much. Raises NoBucket.
        """
        now = datetime.now(UTC)
        before = read_listing(self._note, self._bucket.address)
        after = None if self._whole else choose_start(before, now)
        due = [] if after is None else self._find_due(engine, folder_id, now)
        if len(due) > _MOST_LOOKED_UP:
            after = None
        keys, last = 0, after
        if after is not None:
            yield from self._look_up_due(due, after)
        for page in self._bucket.list_pages(after):
            keys, last = keys + len(page), find_settled(page, now) or last
            yield from self._subtract(engine, folder_id, [seen for seen in page if not self._is_passed_over(seen.name)])
        self._listed = Listing.after(before, self._bucket.address, keys, last, now, whole=after is None)

    def remember(self) -> None:
        """Note down how far was listed: not before it is decided, for a listing from there on shows it no more."""
        if self._listed is not None:
            write_listing(self._note, self._listed)

    def look_up(self, name: bytes) -> FileSeen | None:
        """The object as it is now, None where there is none. Raises UnreadableXray where the store does not tell."""
        return self._bucket.look_up(name)

    def is_settled(self, seen: FileSeen) -> bool:  # noqa: ARG002  # a folder's file must be asked
        """Always: an object is there whole, or it is not there."""
        return True

    def read(self, files: Iterable[ClaimedFile]) -> Iterator[tuple[ClaimedFile, DecodeRequest]]:
        """The bytes of each object while it is the version that was listed, or why there are none."""
        from xray_core.processes.fetching import fetch_ahead

        return fetch_ahead(
            (file, BucketFilm(self._bucket, file.seen.name, file.seen.tag, file.seen.size)) for file in files
        )

    def read_sidecar(self, name: bytes) -> PatientSidecar | None:
        """Whose film it is by the object beside it, where the settings say to look. Raises UnreadableXray."""
        found = self._bucket.read_beside(name + PATIENT_ENDING) if self._has_sidecars else None
        return parse_sidecar(*found) if found else None

    def move(self, film: StayingFilm) -> str | NotMoved:
        """Move a scored film below the archive's prefix; its key there, or why it has none. Raises OSError."""
        assert self._archive is not None, "who archives has an archive"
        try:
            return _move(self._bucket, open_bucket(self._archive), film)
        except UnreadableXray as error:
            if error.reason in (ReasonCode.GONE, ReasonCode.CHANGED_DURING_READ):
                return NotMoved.REPLACED  # this very moment: the next scan looks again
            code = errno.EACCES if "403" in error.detail else errno.EIO
            raise OSError(code, error.detail) from None

    def _subtract(self, engine: Engine, folder_id: int, page: Sequence[FileSeen]) -> Iterator[FileSeen]:
        signed = {sign_file(folder_id, seen.name, seen.size, seen.mtime_ns, seen.ctime_ns): seen for seen in page}
        with unbroken(), snapshot(engine) as session:
            known = set(claims.decided_among(session, list(signed), datetime.now(UTC)))
        yield from (seen for signature, seen in signed.items() if signature not in known)

    def _find_due(self, engine: Engine, folder_id: int, now: datetime) -> Sequence[bytes]:
        with unbroken(), snapshot(engine) as session:
            return decisions.find_due(session, folder_id, now, limit=_MOST_LOOKED_UP + 1)

    def _look_up_due(self, due: Sequence[bytes], until: bytes) -> Iterator[FileSeen]:
        """What is to be looked at again and stands before the key that the listing starts from."""
        for name in due:
            with suppress(UnreadableXray):  # it stays deferred, and is asked for again
                seen = self._bucket.look_up(name) if name <= until else None
                if seen is not None:
                    yield seen

    def _is_passed_over(self, name: bytes) -> bool:
        own = name.rpartition(b"/")[2]
        return is_ignored(own) or (self._has_sidecars and own.endswith(PATIENT_ENDING))


def _move(bucket: Bucket, archive: Bucket, film: StayingFilm) -> str | NotMoved:
    """A film's bytes are in the archive before its object goes, and only the object that was scored goes.

    A store takes an object away whoever wrote it last: it is looked at once more, the moment before.
    """
    name = film.seen.name
    now = bucket.look_up(name)
    if now is None:
        return _find_archived(archive, film) or NotMoved.GONE
    if not _is_same(now, film.seen):
        return NotMoved.REPLACED
    content, _ = bucket.read(name, now.tag)
    if hashlib.sha256(content).hexdigest() != film.sha256:
        return NotMoved.REPLACED
    key = _put(archive, film, content)
    again = bucket.look_up(name)
    if again is not None and _is_same(again, film.seen):
        bucket.remove(name)
        _move_announcement(bucket, archive, film, key)
    return key.decode()


def _put(archive: Bucket, film: StayingFilm, content: bytes) -> bytes:
    """The key under which the archive has these bytes now; nothing there is ever written over."""
    for key in list_archive_keys(film.seen.name, film.sha256):
        if archive.add(key, content) or _has_bytes(archive, key, film.sha256):
            return key
    raise FileExistsError(errno.EEXIST, "both names in the archive belong to other films")


def _find_archived(archive: Bucket, film: StayingFilm) -> str | None:
    """The film's key in the archive, where a process was killed before the ledger knew."""
    keys = list_archive_keys(film.seen.name, film.sha256)
    return next((key.decode() for key in keys if _has_bytes(archive, key, film.sha256)), None)


def _has_bytes(archive: Bucket, key: bytes, sha256: str) -> bool:
    found = archive.read_beside(key)
    return found is not None and hashlib.sha256(found[0]).hexdigest() == sha256


def _move_announcement(bucket: Bucket, archive: Bucket, film: StayingFilm, key: bytes) -> None:
    """The `.sha256` object that announces this film goes with it; one that announces another waits for that."""
    name = film.seen.name + SIDECAR_ENDING
    found = bucket.read_beside(name)
    if found is None:
        return
    try:
        check_announced(found[0], film.sha256)
    except UnreadableXray:
        return
    archive.add(key + SIDECAR_ENDING, found[0])
    bucket.remove(name)


def _is_same(now: FileSeen, then: FileSeen) -> bool:
    return (now.size, now.mtime_ns, now.ctime_ns) == (then.size, then.mtime_ns, then.ctime_ns)
