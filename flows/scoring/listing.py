"""From which key on a bucket is listed: whole while that is cheap, and once a day; else from the last old key on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from xray_core.exchange.atomic_file import write_whole
from xray_core.imaging.records import FileSeen

# Ten requests: less than a second, and less than what the run itself costs.
CHEAP_KEYS = 10_000
_WHOLE_EVERY = timedelta(days=1)
# Keys of several senders, or of one that sends several at a time, do not arrive in their order.
LATE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Listing:
    """What is remembered of a bucket's listings: when it was last listed whole, how many keys, and where to start.

    `keys` counts what every listing since then has shown, `last` is the last key as it stood `LATE` ago.
    """

    address: str
    whole_at: str
    keys: int
    last: str | None

    @classmethod
    def after(
        cls, before: Listing | None, address: str, keys: int, last: bytes | None, now: datetime, *, whole: bool
    ) -> Listing:
        """What is to be remembered after a listing that came to its end."""
        name = last.decode() if last else None
        if whole or before is None:
            return cls(address, now.isoformat(), keys, name)
        return cls(address, before.whole_at, before.keys + keys, name)


def choose_start(before: Listing | None, now: datetime) -> bytes | None:
    """The key after which to list, None for all of it; pure."""
    if before is None or before.last is None or before.keys <= CHEAP_KEYS:
        return None
    age = now - datetime.fromisoformat(before.whole_at)
    return before.last.encode() if timedelta(0) <= age < _WHOLE_EVERY else None


def find_settled(page: Sequence[FileSeen], now: datetime) -> bytes | None:
    """The last key of a page, in the order of keys, that has been there for `LATE`, None where none has; pure.

    One that arrives later still and sorts before it is seen when the bucket is listed whole.
    """
    until = (now - LATE).timestamp() * 1e9
    return next((seen.name for seen in reversed(page) if seen.mtime_ns <= until), None)


def read_listing(file: Path, address: str) -> Listing | None:
    """What was remembered of this bucket; None where that is nothing, or was written for another."""
    try:
        found = Listing(**json.loads(file.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return found if found.address == address else None


def write_listing(file: Path, listing: Listing) -> None:
    """Remember it."""
    write_whole(file, f"{json.dumps(asdict(listing))}\n".encode())
