"""One file's bytes, read once from one descriptor, so that what is hashed is what is decoded."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path

from xray_core.errors import UnreadableXray
from xray_core.imaging.limits import ImageLimits
from xray_core.records import ReasonCode

# A link is not followed, a pipe does not block, nothing is inherited by another program.
_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_OPEN_REFUSALS = {
    errno.ELOOP: (ReasonCode.SYMLINK, "a symbolic link; links are never followed"),
    errno.ENOENT: (ReasonCode.GONE, "no longer there"),
    errno.ENOTDIR: (ReasonCode.GONE, "no longer there"),
    errno.ENAMETOOLONG: (ReasonCode.GONE, "a name that no file can have"),
    errno.ENXIO: (ReasonCode.NOT_REGULAR_FILE, "a socket or device; deliver plain files"),
}

SIDECAR_ENDING = b".sha256"
_SIDECAR_BYTES = 4096


@dataclass(frozen=True, slots=True)
class FileContent:
    """The whole bytes of a file and their SHA-256 in hex."""

    content: bytes
    sha256: str


def read_content(
    name: bytes, *, directory_fd: int | None, size: int, mtime_ns: int, limits: ImageLimits
) -> FileContent:
    """Read a regular file that is still the one that was seen with this size and modification time.

    `name` is relative to the directory where one is given, and then may not leave it. Raises UnreadableXray:
    SYMLINK, NOT_REGULAR_FILE, GONE, UNREADABLE, BAD_NAME, EMPTY, FILE_TOO_LARGE, CHANGED_DURING_READ.
    """
    if directory_fd is not None and b"/" in name:
        raise UnreadableXray(ReasonCode.BAD_NAME, "a name with a slash; expected a file of the folder itself")
    with _open(name, directory_fd) as descriptor:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise UnreadableXray(ReasonCode.NOT_REGULAR_FILE, "a folder, pipe or device; deliver plain files")
        if (before.st_size, before.st_mtime_ns) != (size, mtime_ns):
            raise UnreadableXray(ReasonCode.CHANGED_DURING_READ, "changed between listing and reading")
        limits.check_bytes(before.st_size)
        content = _read(descriptor, before.st_size)
        after = os.fstat(descriptor)
    if len(content) != after.st_size or (after.st_size, after.st_mtime_ns) != (size, mtime_ns):
        raise UnreadableXray(ReasonCode.CHANGED_DURING_READ, "changed while it was read")
    return FileContent(content, sha256(content).hexdigest())


def take_content(content: bytes, limits: ImageLimits) -> FileContent:
    """Bytes that were fetched by somebody else, hashed. Raises UnreadableXray: EMPTY, FILE_TOO_LARGE."""
    limits.check_bytes(len(content))
    return FileContent(content, sha256(content).hexdigest())


def check_sidecar(name: bytes, digest: str, *, directory_fd: int | None) -> None:
    """Compare with the producer's own `name.sha256`, where there is one; raise TRUNCATED when they differ.

    It is the one sure cure for cut files that still look whole. The first word of its first line counts, as
    `sha256sum` writes it.
    """
    try:
        with _open(name + SIDECAR_ENDING, directory_fd) as descriptor:
            text = os.read(descriptor, _SIDECAR_BYTES) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except UnreadableXray as error:
        if error.reason in (ReasonCode.GONE, ReasonCode.SYMLINK):
            return
        raise
    check_announced(text, digest)


def check_announced(text: bytes, digest: str) -> None:
    """Raise TRUNCATED where a sidecar's text announces another content, or none that can be read."""
    found = re.match(rb"\s*\\?([0-9a-fA-F]{64})\b", text[:_SIDECAR_BYTES])
    if found is None or found[1].decode("ascii").lower() != digest:
        raise UnreadableXray(ReasonCode.TRUNCATED, "its bytes are not those that its .sha256 file announces")


@contextmanager
def _open(name: bytes, directory_fd: int | None) -> Iterator[int]:
    try:
        descriptor = os.open(name, _OPEN_FLAGS, dir_fd=directory_fd)
    except OSError as error:
        code = error.errno or 0
        default = (ReasonCode.UNREADABLE, f"cannot be opened ({errno.errorcode.get(code, 'no error number')})")
        raise UnreadableXray(*_OPEN_REFUSALS.get(code, default)) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(descriptor: int, size: int) -> bytes:
    """All bytes; a file that grows meanwhile yields one byte too many, one that shrinks yields too few."""
    parts: list[bytes] = []
    missing = size + 1
    try:
        while missing and (part := os.read(descriptor, missing)):
            parts.append(part)
            missing -= len(part)
    except OSError as error:
        detail = f"cannot be read ({errno.errorcode.get(error.errno or 0, 'no error number')})"
        raise UnreadableXray(ReasonCode.UNREADABLE, detail) from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def hash_file(path: Path) -> str:
    """The SHA-256 of a whole file, in hex; of one that is ours, for it is opened as it comes. Raises OSError."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
