"""Times that people type, as aware UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def as_utc(time: datetime | None) -> datetime | None:
    """A time without a zone is meant as UTC."""
    if time is None or time.tzinfo is not None:
        return time
    return time.replace(tzinfo=UTC)
