"""A file that appears whole or not at all, whatever is killed or full meanwhile."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

# Names that intake, the label import and `*.csv` all pass over.
_ASIDE_PREFIX = ".aside-"
_ASIDE_SUFFIX = ".part"
# A folder for such files in one that may hold a million others.
UNFINISHED = ".unfinished"
# What a file system, or a kernel that guards the files of others, says instead of making a hard link.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


@contextmanager
def write_aside(
    path: Path, *, mode: int = 0o600, overwrite: bool = True, folder: Path | None = None
) -> Iterator[BinaryIO]:
    """Open a file beside `path` for writing; when the block ends well, it is on disk and takes the name `path`.

    Until then it lies in `folder`, on the same file system; without one beside `path`. Without `overwrite` it takes a
    name that nothing has, else FileExistsError is raised.
    A reader sees the file as it was before or the whole new one. When the block raises, what was written is
    removed and `path` is as it was; what a killed process leaves is a dot-file (see `remove_asides`). Raises OSError.
    """
    descriptor, aside = _open_aside(path, folder or path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        if overwrite:
            aside.replace(path)
        else:
            rename_free(aside, path)
    except OSError as error:
        if error.filename != str(aside):
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from None  # nobody gave the name that it is of
    finally:
        aside.unlink(missing_ok=True)  # once it has its name there is nothing; an interrupt leaves nothing either
    _sync_folder(path.parent)


def _open_aside(path: Path, folder: Path) -> tuple[int, Path]:
    try:
        descriptor, name = tempfile.mkstemp(prefix=_ASIDE_PREFIX, suffix=_ASIDE_SUFFIX, dir=folder)
    except OSError as error:  # of a name that nobody gave
        raise type(error)(error.errno, error.strerror, str(path)) from None
    return descriptor, Path(name)


def write_whole(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write `content` to `path`, whole or not at all. Raises OSError."""
    with write_aside(path, mode=mode) as file:
        file.write(content)


def write_once(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file that never changes, unless it is there already. Raises OSError.

    It is linked into place: processes that start together agree on one content.
    """
    if path.exists():
        return
    with suppress(FileExistsError), write_aside(path, mode=mode, overwrite=False) as file:
        file.write(content)


def rename_free(source: Path, target: Path) -> None:
    """Rename a file to a name that nothing has. Raises FileExistsError where something has it, OSError.

    By a hard link, which never replaces; where there are none the name is looked at first.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        source.rename(target)
        return
    source.unlink()


def remove_asides(folder: Path, *, older_than_seconds: float = 86_400) -> int:
    """Remove what killed processes left half written in a folder; how many. Younger ones may still be written."""
    oldest = time.time() - older_than_seconds
    left = [path for path in find_asides(folder) if path.lstat().st_mtime < oldest]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def find_asides(folder: Path) -> list[Path]:
    """The files of a folder that are being written, or that a killed process left half written."""
    return sorted(folder.glob(f"{_ASIDE_PREFIX}*{_ASIDE_SUFFIX}"))


def _sync_folder(folder: Path) -> None:
    """Make the new name itself last: until then a crash of the machine could bring the old file back."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Make everything in a folder, and itself, last."""
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
