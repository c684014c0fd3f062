"""A patient sidecar: `NAME.patient` beside the film NAME, with the patient's id on its one line."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from xray_core.errors import UnreadableXray
from xray_core.records import ReasonCode

ENDING: Final = b".patient"
_MOST_BYTES = 1024
_EXPECTED = "its .patient file cannot be read as one line of UTF-8 with the patient's id"


@dataclass(frozen=True, slots=True)
class PatientSidecar:
    """The id on the line, which may be a placeholder, and when the file was last written or renamed."""

    patient_id: str = field(repr=False)
    written_at: datetime


def read_sidecar(film: bytes) -> PatientSidecar | None:
    """The sidecar of the film at this path; None where it has none.

    No link is followed. Raises UnreadableXray (UNREADABLE: it may be whole later) for one that is not one line of at
    most 1024 bytes in UTF-8: whose the film is must not be guessed.
    """
    try:
        descriptor = os.open(film + ENDING, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError:
        raise UnreadableXray(ReasonCode.UNREADABLE, _EXPECTED) from None
    try:
        status = os.fstat(descriptor)
        content = os.read(descriptor, _MOST_BYTES + 1) if stat.S_ISREG(status.st_mode) else b""
    finally:
        os.close(descriptor)
    return parse_sidecar(content, datetime.fromtimestamp(status.st_ctime, UTC))


def parse_sidecar(content: bytes, written_at: datetime) -> PatientSidecar:
    """What a sidecar's bytes say. Raises UnreadableXray as above."""
    try:
        line = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        line = ""
    if not line or not line.isprintable() or len(content) > _MOST_BYTES:
        raise UnreadableXray(ReasonCode.UNREADABLE, _EXPECTED)
    return PatientSidecar(line, written_at)
