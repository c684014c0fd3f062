"""From a folder to the files worth reading: walk, subtract what is known, decide what is settled."""

from __future__ import annotations

import os
import stat
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from xray_core.imaging.records import LONGEST_RETRY, FileSeen
from xray_core.records import ReasonCode, Refusal

# Names that other programs use while they write, or for themselves: not deliveries, never recorded.
_IGNORED_PREFIXES = (b".", b"~$")
_IGNORED_ENDINGS = (b".part", b".tmp", b"~", b".sha256", b".crdownload", b".filepart")
_IGNORED_NAMES = frozenset({b"Thumbs.db", b"desktop.ini", b"DICOMDIR"})

_FIRST_RETRY = timedelta(seconds=30)


def find_files(incoming: Path, folder_id: int, known: array[int]) -> Iterator[FileSeen]:
    """Walk the incoming folder once and yield what the ledger does not know: new, changed or due again.

    `known` holds the signatures (see `sign_file`) of all decided files in ascending order; `folder_id` is the number
    under which the ledger knows this folder. Nothing is opened
    and no link is followed; folders are yielded as what they are. Cost: one directory walk and one `stat`,
    one hash and one binary search per file, memory 8 bytes per known file.
    """
    for name, found, signature in _list_signed(incoming, folder_id):
        position = bisect_left(known, signature)
        if (position == len(known) or known[position] != signature) and not is_ignored(name):
            yield _seen(name, found)


def holds_fewer_than(incoming: Path, number: int) -> bool:
    """Whether the folder lists fewer names than that; stops counting there, and asks for nothing but names."""
    with os.scandir(os.fsencode(incoming)) as entries:
        return next(islice(entries, max(0, number - 1), None), None) is None


def sign_all(incoming: Path, folder_id: int) -> array[int]:
    """The signatures of what the folder holds now, in no order; one `stat` a file."""
    return array("q", (signature for name, _, signature in _list_signed(incoming, folder_id) if not is_ignored(name)))


def look_again(incoming: Path, seen: FileSeen) -> FileSeen | None:
    """The same name as it is now, or None when it is gone."""
    return look_up(incoming, seen.name)


def look_up(incoming: Path, name: bytes) -> FileSeen | None:
    """What has this name in the folder, None where nothing has."""
    try:
        return _seen(name, os.lstat(os.path.join(os.fsencode(incoming), name)))
    except FileNotFoundError:
        return None


def is_ignored(name: bytes) -> bool:
    """True for temporary and foreign names that are never an X-ray delivery."""
    return name.startswith(_IGNORED_PREFIXES) or name.endswith(_IGNORED_ENDINGS) or name in _IGNORED_NAMES


def sign_file(folder_id: int, name: bytes, size: int, mtime_ns: int, ctime_ns: int) -> int:
    """A signed 64-bit signature of a file in a recorded folder: the ledger's key for "this very file is known".

    The change time is part of it, which no writer can set: a DVD's files have one name, size and mtime for many
    patients. A chmod moves it too, and costs a second look.
    """
    digest = blake2b(b"%d/%d/%d/%d/%b" % (folder_id, size, mtime_ns, ctime_ns, name), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def is_settled(seen: FileSeen, *, now_ns: int, settle_seconds: float) -> bool:
    """Whether nothing has touched the file for the settle time.

    Judged by ctime, which every write and rename moves and no writer can set: an mtime of 1970 or of next
    year changes nothing. After a clock jump the age is negative and the caller watches the file instead.
    """
    return now_ns - seen.ctime_ns >= settle_seconds * 1e9


def refuse_by_kind(seen: FileSeen) -> Refusal | None:
    """Why something is refused without being opened, or None for a regular file."""
    if seen.is_symlink:
        return Refusal(ReasonCode.SYMLINK, "a symbolic link; links are never followed")
    if not seen.is_regular:
        return Refusal(ReasonCode.NOT_REGULAR_FILE, "a folder, pipe, socket or device; deliver plain files")
    return None


def plan_retry(
    refusal: Refusal, *, deferred_since: datetime | None, tries: int, now: datetime, defer_hours: float
) -> datetime | None:
    """When to look at a refused file again, or None when it is rejected for good.

    Doubling pauses from 30 s to 2 h: about twenty tries in 24 hours. A change of the file resets them; a file
    that is still changing is looked at by the very next scan.
    """
    if refusal.reason is ReasonCode.UNSETTLED:
        return now
    if not refusal.reason.may_become_whole:
        return None
    if deferred_since is not None and now - deferred_since >= timedelta(hours=defer_hours):
        return None
    return now + min(_FIRST_RETRY * (1 << min(tries, 10)), LONGEST_RETRY)


def _list_signed(incoming: Path, folder_id: int) -> Iterator[tuple[bytes, os.stat_result, int]]:
    with os.scandir(os.fsencode(incoming)) as entries:
        for entry in entries:
            name = entry.name
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # renamed or taken away since the listing: it was never ours
            yield name, found, sign_file(folder_id, name, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _seen(name: bytes, found: os.stat_result) -> FileSeen:
    return FileSeen(
        name=name,
        size=found.st_size,
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
        is_regular=stat.S_ISREG(found.st_mode),
        is_symlink=stat.S_ISLNK(found.st_mode),
    )
