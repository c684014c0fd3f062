"""Films in a bucket: listed, looked at, read and moved by their keys below one prefix.

obstore is imported where a bucket is opened, and nowhere else: who scores a folder does without it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from xray_core.errors import NoBucket, UnreadableXray
from xray_core.imaging.limits import ImageLimits
from xray_core.imaging.records import FileSeen
from xray_core.records import ReasonCode
from xray_core.stores.faults import describe_fault, explain_listing, find_bad_key, refuse_reading, store_faults

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

_PAGE = 1000
# A store that does not answer must not hold a scan for minutes: the film is deferred, and the next scan asks again.
_PATIENCE = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
_CLIENT = {"connect_timeout": "5s", "timeout": "60s"}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_ALLOW_HTTP = {"s3": "AWS_ALLOW_HTTP", "az": "AZURE_ALLOW_HTTP"}


@cache
def open_bucket(address: str) -> Bucket:
    """A bucket by its address; nothing is asked of it yet. Raises NoBucket for what obstore makes no store of."""
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError as error:
        raise NoBucket(
            f"{address}: obstore is not installed, and films in a bucket need it: pip install 'xray-scoring[s3]'"
        ) from error
    options = dict(_CLIENT) | ({"allow_http": True} if _may_speak_plainly(address, os.environ) else {})
    try:
        store = from_url(address, client_options=options, retry_config=_PATIENCE)  # type: ignore[call-overload]
    except (BaseError, ValueError) as error:
        raise NoBucket(f"{address}: {describe_fault(error)}; expected s3://BUCKET/PREFIX, gs://… or az://…") from error
    return Bucket(address, store)


def examine_buckets(incoming: str | None, archive: str | None) -> Iterator[tuple[str, str | None]]:
    """How it stands with the buckets of films, each with the way out where it cannot be used.

    Incoming is listed to its end, as a scan does, for one key may stop every listing; of the archive one page is.
    """
    if incoming is not None:
        yield _examine(incoming, whole=True)
    if archive is not None:
        yield _examine(archive, whole=False)
        yield (
            f"scored films leave {incoming} by their keys: what a sender writes under such a key at that very moment "
            "is lost, unless the bucket keeps versions or no key is ever written twice",
            None,
        )


def _examine(address: str, *, whole: bool) -> tuple[str, str | None]:
    try:
        pages = open_bucket(address).list_pages()
        keys = sum(map(len, pages if whole else islice(pages, 1)))
    except NoBucket as error:
        what, _, way_out = str(error).rpartition(": ")
        return what, way_out
    listed = ", and is listed to its end" if whole and keys else ""
    return f"bucket {address} answers{listed}" + ("" if keys else ", and nothing lies below that prefix yet"), None


@dataclass(frozen=True, slots=True)
class Bucket:
    """What lies below one prefix. Names are keys without the prefix, in UTF-8, and may hold slashes."""

    address: str
    _store: ObjectStore = field(repr=False, compare=False)

    def list_pages(self, after: bytes | None = None) -> Iterator[list[FileSeen]]:
        """Every object below the prefix in the order of keys, from the one after `after` on, a page at a time.

        The key of a "folder" that a console has made is none. Raises NoBucket: what does not answer, or may not be
        listed.
        """
        import obstore

        try:
            for page in obstore.list(self._store, offset=after.decode() if after else None, chunk_size=_PAGE):
                yield [seen for seen in map(_seen, page) if seen.name and not self._is_folder(seen)]
        except store_faults() as error:
            raise NoBucket(f"{self.address}: {explain_listing(error)}") from error

    def ensure_there(self) -> None:
        """Raise NoBucket where there is no such bucket, or it does not answer; one page is asked for."""
        import obstore

        try:
            next(iter(obstore.list(self._store, chunk_size=_PAGE)), None)
        except store_faults() as error:
            if find_bad_key(error) is None:  # else it is there, though no listing gets past that key
                raise NoBucket(f"{self.address}: {explain_listing(error)}") from error

    def look_up(self, name: bytes) -> FileSeen | None:
        """The object of this name as it is now, None where there is none. Raises UnreadableXray.

        A bucket that is not there has none either: `ensure_there` tells.
        """
        import obstore

        try:
            return _seen(obstore.head(self._store, name.decode()), name)
        except (FileNotFoundError, ValueError):  # a key is text, and no path with `.`, `..` or an empty part
            return None
        except store_faults() as error:
            raise refuse_reading(error) from None

    def read(self, name: bytes, tag: str | None = None) -> tuple[bytes, FileSeen]:
        """An object's bytes and what was known of it then; with a tag only while it is that version.

        Raises UnreadableXray: GONE, CHANGED_DURING_READ, UNREADABLE, FILE_TOO_LARGE.
        """
        import obstore

        try:
            found = obstore.get(self._store, name.decode(), options={"if_match": tag} if tag else None)
            if found.meta["size"]:
                ImageLimits().check_bytes(found.meta["size"])
            return found.bytes().to_bytes(), _seen(found.meta, name)
        except store_faults() as error:
            raise refuse_reading(error) from None

    def read_beside(self, name: bytes) -> tuple[bytes, datetime] | None:
        """A small file that may lie beside a film, and when it was written; None where there is none."""
        try:
            content, seen = self.read(name)
        except UnreadableXray as error:
            if error.reason is ReasonCode.GONE:
                return None
            raise
        return content, datetime.fromtimestamp(seen.mtime_ns / 1e9, UTC)

    def add(self, name: bytes, content: bytes) -> bool:
        """Write an object under a name that nothing has; False where something has it. Raises UnreadableXray."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            obstore.put(self._store, name.decode(), content, mode="create")
        except AlreadyExistsError:
            return False
        except store_faults() as error:
            raise refuse_reading(error) from None
        return True

    def remove(self, name: bytes) -> None:
        """Remove an object; one that is not there is no fault. Raises UnreadableXray."""
        import obstore

        try:
            obstore.delete(self._store, name.decode())
        except FileNotFoundError:
            pass
        except store_faults() as error:
            raise refuse_reading(error) from None

    def _is_folder(self, seen: FileSeen) -> bool:
        """Whether an empty object is listed under a name that is not its own: its key ends in a slash."""
        if seen.size:
            return False
        try:
            return self.look_up(seen.name) != seen
        except UnreadableXray:
            return False  # nobody can tell: it is read, and deferred


def _seen(meta: ObjectMeta, name: bytes | None = None) -> FileSeen:
    """What a store says of an object. Whole seconds: a listing may know more of the time than a header.

    A tag has its quotes, without which no store finds a version by it: listings of Azure leave them away.
    """
    tag = meta["e_tag"] or meta["version"]
    mark = blake2b((tag or meta["last_modified"].isoformat()).strip('"').encode(), digest_size=8).digest()
    e_tag = meta["e_tag"]
    return FileSeen(
        name=meta["path"].encode() if name is None else name,
        size=meta["size"],
        mtime_ns=int(meta["last_modified"].timestamp()) * 10**9,
        ctime_ns=int.from_bytes(mark, "big") >> 1,
        is_regular=True,
        is_symlink=False,
        tag=f'"{e_tag}"' if e_tag and '"' not in e_tag else e_tag,
    )


def _may_speak_plainly(address: str, environment: Mapping[str, str]) -> bool:
    """Whether plain HTTP may be spoken: to this machine, or where a person has said so."""
    scheme = address.partition("://")[0]
    if environment.get(_ALLOW_HTTP.get(scheme, ""), "").lower() in ("1", "true"):
        return True
    endpoint = next((environment[name] for name in _ENDPOINTS.get(scheme, ()) if environment.get(name)), "")
    return urlsplit(endpoint).hostname in _LOOPBACK
