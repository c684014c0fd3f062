"""Content that only this home can have written: sealed by its key, so that what was cut, changed or brought is told."""

from __future__ import annotations

import hmac
import os
from pathlib import Path
from typing import BinaryIO, Final

_SEAL_BYTES: Final = 32
_LENGTH_BYTES: Final = 8
_LONGEST: Final = 2**30


def open_kept(path: Path) -> BinaryIO:
    """Open a file for reading that somebody else may have put there: no link is followed, no pipe waited for.

    Raises OSError.
    """
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def seal(magic: bytes, key: bytes, content: bytes) -> bytes:
    """The bytes to begin a file with: what kind of file it is, and the content under its seal."""
    return magic + len(content).to_bytes(_LENGTH_BYTES, "little") + sign(magic, key, content) + content


def read_sealed(file: BinaryIO, magic: bytes, key: bytes) -> bytes | None:
    """The content that `seal` has put at the start of a file; None where that is of another kind, key or content.

    The file then stands behind it. Raises OSError.
    """
    start = file.read(len(magic) + _LENGTH_BYTES + _SEAL_BYTES)
    length = int.from_bytes(start[len(magic) : len(magic) + _LENGTH_BYTES], "little")
    if not start.startswith(magic) or length > _LONGEST:
        return None
    content = file.read(length)
    return content if hmac.compare_digest(start[-_SEAL_BYTES:], sign(magic, key, content)) else None


def sign(magic: bytes, key: bytes, content: bytes) -> bytes:
    """The seal alone (32,): it hangs on the kind of file, the key and every byte of the content."""
    return hmac.digest(key, magic + content, "sha256")
