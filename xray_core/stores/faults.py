"""What a store's errors mean for a film, and for a person: never in the store's own words, which hold keys."""

from __future__ import annotations

import re

from xray_core.errors import UnreadableXray
from xray_core.records import ReasonCode

_STATUS = re.compile(r"status code: (\d{3})")
# The first is a key with an empty part, the second one with `.`, `..` or a control character.
_BAD_KEY = re.compile(r'Path "(.*?)" contained empty|Error parsing Path "(.*?)": ', re.DOTALL)


def store_faults() -> tuple[type[Exception], ...]:
    """What obstore raises: Python's own FileNotFoundError for what is not there, ValueError for what is no key."""
    from obstore.exceptions import BaseError

    return (BaseError, OSError, ValueError)


def refuse_reading(error: Exception) -> UnreadableXray:
    """Why one object could not be read. All of it may be mended, so it is asked for again."""
    if isinstance(error, FileNotFoundError | ValueError):  # a key is text, and some text is none: nothing lies there
        return UnreadableXray(ReasonCode.GONE, "no longer there")
    if type(error).__name__ == "PreconditionError":
        return UnreadableXray(ReasonCode.CHANGED_DURING_READ, "changed between listing and reading")
    return UnreadableXray(ReasonCode.UNREADABLE, f"the store does not hand it over ({describe_fault(error)})")


def explain_listing(error: Exception) -> str:
    """Why a bucket cannot be listed, and the way out."""
    words = str(error)
    if (bad_key := find_bad_key(error)) is not None:
        return (
            f"the key {bad_key!r} has a part that is empty, `.` or `..`, or a control character, and no listing gets "
            "past it: rename that object"
        )
    status = _find_status(words)
    if status == "404":
        return "there is no such bucket: mend XRAY_INCOMING, or the endpoint (docs/scale.md)"
    if status in ("401", "403"):
        return f"these credentials may not list it (HTTP {status}): give them the rights to list and to read"
    if "builder error" in words:
        return (
            "its endpoint is plain http:// on another machine, where films and credentials could be read on the way: "
            "expected https://, or AWS_ALLOW_HTTP=true where that network is your own"
        )
    return f"the store does not answer ({describe_fault(error)}): is the endpoint right, and does this host reach it?"


def find_bad_key(error: Exception) -> str | None:
    """The key for which obstore gives up a listing, None where that is not the reason."""
    found = _BAD_KEY.search(str(error))
    return next(filter(None, found.groups()), None) if found else None


def describe_fault(error: Exception) -> str:
    """The status that came back, or the kind of error where none did."""
    status = _find_status(str(error))
    return f"HTTP {status}" if status else type(error).__name__


def _find_status(words: str) -> str | None:
    found = _STATUS.search(words)
    return found[1] if found else None
