"""From which key on a bucket is listed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from flows.scoring.listing import CHEAP_KEYS, Listing, choose_start, find_settled, read_listing, write_listing
from xray_core.imaging.records import FileSeen

NOW = datetime(2026, 5, 1, 9, tzinfo=UTC)
BUCKET = "s3://films/in"


def listed(keys: int, *, ago: timedelta = timedelta(hours=1), last: str | None = "2026/b.png") -> Listing:
    return Listing(BUCKET, (NOW - ago).isoformat(), keys, last)


def test_a_bucket_is_listed_whole_while_that_is_cheap_once_a_day_and_by_a_clock_that_is_wrong() -> None:
    assert choose_start(None, NOW) is None
    assert choose_start(listed(CHEAP_KEYS), NOW) is None
    assert choose_start(listed(CHEAP_KEYS + 1, ago=timedelta(days=1)), NOW) is None
    assert choose_start(listed(CHEAP_KEYS + 1, ago=-timedelta(hours=1)), NOW) is None
    assert choose_start(listed(CHEAP_KEYS + 1, last=None), NOW) is None
    assert choose_start(listed(CHEAP_KEYS + 1), NOW) == b"2026/b.png"


def test_a_listing_from_a_key_on_adds_to_what_is_known_and_does_not_count_as_a_whole_one() -> None:
    before = listed(20_000)

    after = Listing.after(before, BUCKET, 3, b"2026/c.png", NOW, whole=False)

    assert after == Listing(BUCKET, before.whole_at, 20_003, "2026/c.png")
    assert Listing.after(before, BUCKET, 7, None, NOW, whole=True) == Listing(BUCKET, NOW.isoformat(), 7, None)


def test_a_listing_starts_from_the_last_key_that_has_been_there_for_an_hour() -> None:
    minutes_ago = {"2026/a.png": 600, "2026/b.png": 61, "2026/c.png": 59, "2026/d.png": 0}
    page = [see(name, NOW - timedelta(minutes=minutes)) for name, minutes in minutes_ago.items()]

    assert find_settled(page, NOW) == b"2026/b.png"
    assert find_settled(page[2:], NOW) is None
    assert find_settled([], NOW) is None


def see(name: str, written_at: datetime) -> FileSeen:
    return FileSeen(name.encode(), 1, int(written_at.timestamp()) * 10**9, 0, True, False)


def test_what_was_noted_of_another_bucket_or_is_damaged_is_nothing(tmp_path: Path) -> None:
    note = tmp_path / "listing.json"
    write_listing(note, listed(5))

    assert read_listing(note, BUCKET) == listed(5)
    assert read_listing(note, "s3://films/other") is None
    note.write_bytes(b"{}")
    assert read_listing(note, BUCKET) is None
    assert read_listing(tmp_path / "none", BUCKET) is None
