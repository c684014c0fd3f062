"""Fitted grey levels of labelled films, kept in the home so that the next training need not decode them again.

Derived from the films, never in a backup, and believed only by hash: what is gone, cut, damaged, foreign or of another
decoder is decoded again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import features

import xray_core.imaging
from xray_core.imaging.content import SIDECAR_ENDING
from xray_core.imaging.records import Preprocessing
from xray_core.processes.decoder import Decoded
from xray_core.processes.grey_file import (
    ENDING,
    GreyFile,
    GreyKind,
    KeptFilm,
    hash_greys,
    read_grey_file,
    write_grey_file,
)

_LOG = logging.getLogger(__name__)

# What turns bytes into grey levels besides the modules of `xray_core.imaging`.
_LIBRARIES: Final = ("numpy", "pillow", "kornia-rs", "pydicom", "python-gdcm")
_MOST_WAITING: Final = 4096  # films in memory before they are written
_MOST_FILES: Final = 8  # more of them become two: the largest stays as it is
_HEADER_BYTES: Final = 4096
_BYTES_OF_FACTS: Final = 512  # rather more than there are
# A file that changed so recently may change again without its times telling.
_SETTLED_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class GreyStore:
    """Where a home keeps grey levels: sealed by a key, `most_bytes` of them at most, `spare_bytes` of the disk free."""

    folder: Path
    key: bytes = field(repr=False)
    most_bytes: int
    spare_bytes: int = 0
    settled_seconds: float = _SETTLED_SECONDS


def stamp_file(path: bytes, settled_seconds: float) -> str:
    """What changes with every change of a film's file, and of the `.sha256` beside it; empty where nobody can tell.

    The change time is part of it, which no writer can set. Nobody can tell of what is no regular file, or changed a
    moment ago.
    """
    parts = []
    for name in (path, path + SIDECAR_ENDING):
        try:
            found = os.lstat(name)
        except OSError:
            if name == path:
                return ""
            continue
        if name == path and not stat.S_ISREG(found.st_mode):
            return ""
        if time.time_ns() - found.st_ctime_ns < settled_seconds * 1e9:
            return ""
        parts.append((found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


@cache
def fingerprint_decoder(chest_words: Sequence[str]) -> str:
    """What tells one decoder from another: our modules of imaging by content, the libraries by version."""
    digest = hashlib.sha256()
    for module in sorted(Path(next(iter(xray_core.imaging.__path__))).rglob("*.py")):
        digest.update(module.read_bytes())
    versions = [f"{name} {version(name)}" for name in _LIBRARIES]
    versions += [f"{name} {features.version(name)}" for name in ("jpg", "zlib")]
    digest.update("\n".join((*versions, platform.machine(), *chest_words)).encode())
    return digest.hexdigest()


@contextmanager
def open_shelf(store: GreyStore, preprocessing: Preprocessing, chest_words: Sequence[str]) -> Iterator[Shelf]:
    """The kept films of one preprocessing; what the block adds is written when it ends well, and in between."""
    kind = GreyKind(preprocessing, fingerprint_decoder(tuple(chest_words)))
    shelf = Shelf(store, kind, list(_read_files(store, kind)))
    yield shelf
    shelf.put_away()


def _read_files(store: GreyStore, kind: GreyKind) -> Iterator[GreyFile]:
    """The files of this kind that are believed, the largest first; what never can be is removed."""
    found = []
    for path in sorted(store.folder.glob(f"{kind.preprocessing.version}.*{ENDING}")):
        try:
            file = read_grey_file(path, kind, store.key)
        except FileNotFoundError:  # another training has put it together with others
            continue
        except OSError as error:
            _LOG.warning("kept grey levels cannot be read (%s): their films are decoded again", error.strerror)
            continue
        if file is None:
            _LOG.warning("kept grey levels are cut, foreign, or of another decoder: their films are decoded again")
            with suppress(OSError):
                path.unlink()
            continue
        found.append(file)
    yield from sorted(found, key=lambda file: -len(file.films))


class Shelf:
    """The lifetime of one reading: films that are kept are taken, others are put in, and written in files of many."""

    def __init__(self, store: GreyStore, kind: GreyKind, files: list[GreyFile]) -> None:
        self._store = store
        self._kind = kind
        self._places: dict[str, list[tuple[GreyFile, int]]] = {}
        self._waiting: dict[str, tuple[KeptFilm, NDArray[np.uint8]]] = {}
        self._bytes_each = kind.bytes_per_film + _BYTES_OF_FACTS
        self._rewritten = files[1:] if len(files) > _MOST_FILES else []
        self._outdated: dict[Path, set[int]] = {}
        self._is_full = False
        self._files = files
        for file in files:
            for place, film in enumerate(file.films):
                self._places.setdefault(film.sha256, []).append((file, place))

    def take(self, sha256: str, stamp: str) -> Decoded | None:
        """The film of this content whose file still has this stamp; None where it must be decoded."""
        for file, place in self._places.get(sha256, ()) if stamp else ():
            film = file.films[place]
            if film.stamp != stamp:  # the film's file has changed, or was moved: nobody will ask for this row again
                self._outdated.setdefault(file.path, set()).add(place)
                continue
            grey = file.read(place)
            if grey is not None:
                return Decoded(sha256, grey, film.facts, film.dhash, seconds=0.0)
            if file not in self._rewritten:
                _LOG.warning("kept grey levels are damaged: what is not as it was written is decoded again")
                self._rewritten.append(file)
        return None

    def put(self, film: Decoded, stamp: str) -> None:
        """Keep a film that was just decoded from a file with this stamp."""
        if stamp and not self._is_full:
            kept = KeptFilm(film.sha256, stamp, film.facts, film.dhash, hash_greys(film.grey))
            self._waiting[film.sha256] = (kept, film.grey)
        if len(self._waiting) >= _MOST_WAITING:
            self._write()

    def put_away(self) -> None:
        """Write what waits; whole rows of files that are damaged, too many, or half outdated go with it."""
        for file in self._files:
            if file not in self._rewritten and 2 * len(self._outdated.get(file.path, ())) >= len(file.films):
                self._rewritten.append(file)
        for file in self._rewritten:
            outdated = self._outdated.get(file.path, set())
            for place in sorted(set(range(len(file.films))) - outdated):
                film = file.films[place]
                if film.sha256 not in self._waiting and (grey := file.read(place)) is not None:
                    self._waiting[film.sha256] = (film, grey)
        written = self._write(free=sum(_measure(file.path) for file in self._rewritten))
        if not self._is_full:
            for file in self._rewritten:
                if file.path != written:
                    with suppress(OSError):
                        file.path.unlink()

    def _write(self, free: int = 0) -> Path | None:
        """The file of what waited: it replaced one of the same films in the same order, which had the same name."""
        self._remove_spent()
        films = list(self._waiting.values())
        self._waiting.clear()
        if not films or self._is_full:
            return None
        try:
            self._store.folder.mkdir(mode=0o700, exist_ok=True)
            if make_room(self._store, self._kind, _HEADER_BYTES + len(films) * self._bytes_each - free):
                return write_grey_file(self._store.folder, self._kind, self._store.key, films)
            why = "they would take more than XRAY_KEPT_MIB, or the disk is nearly full"
        except OSError as error:
            why = error.strerror or type(error).__name__
        self._is_full = True
        _LOG.warning("grey levels of %d films are not kept (%s): the next training decodes them again", len(films), why)
        return None

    def _remove_spent(self) -> None:
        """Files of outdated rows alone make room before anything is written."""
        for file in [file for file in self._files if len(self._outdated.get(file.path, ())) == len(file.films)]:
            self._files.remove(file)
            if file in self._rewritten:
                self._rewritten.remove(file)
            with suppress(OSError):
                file.path.unlink()


def _measure(path: Path) -> int:
    """Bytes of a file; none where another training has removed it."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def make_room(store: GreyStore, kind: GreyKind, wanted: int) -> bool:
    """Remove what was not used for longest, of other preprocessings, until so many bytes fit; whether they do."""
    sizes: dict[Path, os.stat_result] = {}
    for path in store.folder.iterdir():
        with suppress(OSError):
            sizes[path] = path.lstat()
    total = sum(found.st_size for found in sizes.values())
    own = f"{kind.preprocessing.version}."
    others = sorted((p for p in sizes if not p.name.startswith((own, "."))), key=lambda path: sizes[path].st_mtime)
    for path in others:
        if total + wanted <= store.most_bytes:
            break
        with suppress(OSError):
            path.unlink()
            total -= sizes[path].st_size
    return total + wanted <= store.most_bytes and shutil.disk_usage(store.folder).free - wanted >= store.spare_bytes
