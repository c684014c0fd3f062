"""One scored film goes from the incoming folder into the archive, and no film that was not scored goes with it.

A sender may replace a file at any moment. So a film is taken under a name of ours first, and looked at there: what is
not the file that was scored goes back. Whatever is killed on the way, the next scan finds it under that name.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from enum import StrEnum
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from db.records import StayingFilm
from flows.home.films import fit_name, list_archive_names, name_held
from xray_core.errors import UnreadableXray
from xray_core.exchange.atomic_file import UNFINISHED, rename_free, write_aside
from xray_core.imaging.content import SIDECAR_ENDING, check_sidecar
from xray_core.imaging.folder import look_again

_SIDECAR = os.fsdecode(SIDECAR_ENDING)
_LONGEST_SIDECAR = 4096  # bytes
_PIECE = 2**20


class NotMoved(StrEnum):
    """Why a film is not in the archive although nothing failed."""

    GONE = "gone"  # somebody took it away
    REPLACED = "replaced"  # another file has its name, which is to be scored


class _OtherBytes(Exception):
    """What was copied is not what was scored."""


def move_film(incoming: Path, archive: Path, film: StayingFilm) -> str | NotMoved:
    """Move a film with its `.sha256` sidecar; its name in the archive, or why it has none.

    A name that another content has gets this content's hash in front; one that would be too long is cut. Raises
    OSError; then nothing is lost, and the next scan tries again.
    """
    path = incoming / os.fsdecode(film.seen.name)
    name = _finish_interrupted(path, archive, film) or _take(path, archive, film)
    if not isinstance(name, NotMoved):
        _move_sidecar(path, archive / name, film.sha256)
    return name


def _take(path: Path, archive: Path, film: StayingFilm) -> str | NotMoved:
    seen = look_again(path.parent, film.seen)
    if seen is None:
        return _find_archived(archive, film) or NotMoved.GONE
    if seen != film.seen:
        return NotMoved.REPLACED
    try:
        before, held = path.lstat(), archive / name_held(film.seen.name, film.sha256)
        path.rename(held)
    except FileNotFoundError:
        return NotMoved.REPLACED  # taken this very moment: the next scan looks again
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return _copy_and_remove(path, archive, film)
    return _settle(held, path, before, archive, film)


def _settle(held: Path, path: Path, before: os.stat_result, archive: Path, film: StayingFilm) -> str | NotMoved:
    """A film that has our name in the archive: to its place there, or back."""
    try:
        if _is_same(held.lstat(), before):
            return _place(held, archive, film)
        _put_back(held, path)
    except FileNotFoundError:
        pass  # another scanner found it there, and finishes
    return NotMoved.REPLACED


def _copy_and_remove(path: Path, archive: Path, film: StayingFilm) -> str | NotMoved:
    """To another file system; the source goes once the copy is on disk and has its name."""
    try:
        before = path.lstat()
        name = _copy(path, archive, film)
        held = path.with_name(name_held(film.seen.name, film.sha256))
        path.rename(held)
    except (FileNotFoundError, _OtherBytes):
        return NotMoved.REPLACED
    if _is_same(held.lstat(), before):
        held.unlink()
    else:
        _put_back(held, path)  # what was scored is in the archive all the same
    return name


def _copy(source: Path, archive: Path, film: StayingFilm) -> str:
    """The film's name in the archive, which has these bytes now. Raises _OtherBytes."""
    target = _choose_target(archive, film)
    if not os.path.lexists(target):
        copies = _open_copies(archive)
        with _open(source) as file, write_aside(target, overwrite=False, folder=copies) as copy:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode) or _copy_bytes(file, copy) != film.sha256:
                raise _OtherBytes
            copy.flush()
            os.utime(copy.fileno(), ns=(before.st_atime_ns, before.st_mtime_ns))
    return target.name


def _finish_interrupted(path: Path, archive: Path, film: StayingFilm) -> str | None:
    """A film that a killed process held: its name in the archive. Another film that it held goes back (None)."""
    for held in (
        archive / name_held(film.seen.name, film.sha256),
        path.with_name(name_held(film.seen.name, film.sha256)),
    ):
        if not os.path.lexists(held):
            continue
        if _hash(held) != film.sha256:
            _put_back(held, path)
        elif held.parent == archive:
            return _place(held, archive, film)
        else:
            name = _copy(held, archive, film)
            held.unlink()
            return name
    return None


def _open_copies(archive: Path) -> Path:
    """Where copies lie until they are whole: an archive of a million films is not looked through for what was left."""
    folder = archive / UNFINISHED
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _place(held: Path, archive: Path, film: StayingFilm) -> str:
    target = _choose_target(archive, film)
    if os.path.lexists(target):
        held.unlink()  # these bytes are there
    else:
        rename_free(held, target)
    return target.name


def _put_back(held: Path, path: Path) -> None:
    """A film that was not scored, under its own name; where a still newer one has that, under one of its own."""
    try:
        rename_free(held, path)
    except FileExistsError:
        rename_free(held, path.with_name(fit_name(f"{_hash(held)[:16]}-{path.name}", path.parent)))


def _choose_target(archive: Path, film: StayingFilm) -> Path:
    """A name in the archive that nothing has, or that this content has. Raises FileExistsError."""
    for target in list_archive_names(archive, film.seen.name, film.sha256):
        if not os.path.lexists(target) or _has_bytes(target, film.sha256):
            return target
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(archive))


def _find_archived(archive: Path, film: StayingFilm) -> str | None:
    """The film's name in the archive, where a process was killed before the ledger knew."""
    return next(
        (
            path.name
            for path in list_archive_names(archive, film.seen.name, film.sha256)
            if _has_bytes(path, film.sha256)
        ),
        None,
    )


def _move_sidecar(path: Path, target: Path, sha256: str) -> None:
    """The sidecar that announces this film goes with it; one that announces another content waits for that."""
    source = path.with_name(path.name + _SIDECAR)
    try:
        found = source.lstat()
        check_sidecar(os.fsencode(path), sha256, directory_fd=None)
    except UnreadableXray:
        return
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENAMETOOLONG):
            return
        raise
    if stat.S_ISREG(found.st_mode) and found.st_size <= _LONGEST_SIDECAR:
        goes_to = target.with_name(fit_name(target.name + _SIDECAR, target.parent))
        with write_aside(goes_to, folder=_open_copies(target.parent)) as copy:
            copy.write(source.read_bytes())
        source.unlink(missing_ok=True)


def _is_same(found: os.stat_result, before: os.stat_result) -> bool:
    """Not by the change time, which the renaming moved: it was compared a moment before."""
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns) == (
        before.st_dev,
        before.st_ino,
        before.st_size,
        before.st_mtime_ns,
    )


def _has_bytes(path: Path, sha256: str) -> bool:
    try:
        return _hash(path) == sha256
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.ENAMETOOLONG):
            return False
        raise


def _hash(path: Path) -> str:
    with _open(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open(path: Path) -> BufferedReader:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags), "rb")


def _copy_bytes(source: BinaryIO, target: BinaryIO) -> str:
    """Copy to the end; the SHA-256 of what was copied, in hex."""
    digest = hashlib.sha256()
    while piece := source.read(_PIECE):
        digest.update(piece)
        target.write(piece)
    return digest.hexdigest()
