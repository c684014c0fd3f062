"""A file of fitted grey levels: written once, sealed, and read through a memory map."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from xray_core.exchange.atomic_file import write_aside
from xray_core.imaging.records import ImageFacts, Preprocessing
from xray_core.processes.sealed_file import open_kept, read_sealed, seal, sign

ENDING: Final = ".greys"
_MAGIC: Final = b"xray greys, 1\n\0\0"
_PAGE: Final = 4096


@dataclass(frozen=True, slots=True)
class KeptFilm:
    """What a file says of one of its films: content, its file's stamp when it was decoded, facts, and its greys' hash.

    A raw patient id is not kept.
    """

    sha256: str
    stamp: str
    facts: ImageFacts
    dhash: str
    greys_sha256: str


@dataclass(frozen=True, slots=True)
class GreyKind:
    """Whose grey levels a file holds: fitted by which preprocessing, decoded by which decoder (a fingerprint)."""

    preprocessing: Preprocessing
    decoder: str

    @property
    def bytes_per_film(self) -> int:
        """Of its grey levels."""
        return self.preprocessing.height * self.preprocessing.width


@dataclass(frozen=True, slots=True)
class _Header:
    version: str
    decoder: str
    films: tuple[KeptFilm, ...]


_HEADER: Final = TypeAdapter(_Header)


@dataclass(frozen=True, slots=True)
class GreyFile:
    """A file whose seal holds: its films, and their grey levels (n, height, width) uint8, mapped and not yet hashed."""

    path: Path
    films: tuple[KeptFilm, ...]
    greys: NDArray[np.uint8]

    def read(self, place: int) -> NDArray[np.uint8] | None:
        """The grey levels (height, width) of a film, still in the map; None where they are not what was written."""
        grey: NDArray[np.uint8] = self.greys[place]
        return grey if hash_greys(grey) == self.films[place].greys_sha256 else None


def hash_greys(grey: NDArray[np.uint8]) -> str:
    """The SHA-256 of grey levels, in hex."""
    return hashlib.sha256(np.ascontiguousarray(grey).data).hexdigest()


def write_grey_file(
    folder: Path, kind: GreyKind, key: bytes, films: Sequence[tuple[KeptFilm, NDArray[np.uint8]]]
) -> Path:
    """Write films into a new file, whole or not at all, under a name that says what it holds. Raises OSError."""
    header = _HEADER.dump_json(_Header(kind.preprocessing.version, kind.decoder, tuple(film for film, _ in films)))
    path = folder / f"{kind.preprocessing.version}.{sign(_MAGIC, key, header).hex()[:16]}{ENDING}"
    with write_aside(path) as file:
        file.write(seal(_MAGIC, key, header))
        file.write(bytes(_find_start(file.tell()) - file.tell()))
        for _, grey in films:
            file.write(np.ascontiguousarray(grey).data)
    return path


def read_grey_file(path: Path, kind: GreyKind, key: bytes) -> GreyFile | None:
    """Map a file, once its seal holds; None for one that is cut, of another kind or decoder, or sealed by another key.

    A file that is no longer needed may be removed while it is mapped. Raises OSError.
    """
    with open_kept(path) as file:
        header = _read_header(file, key)
        if header is None or (header.version, header.decoder) != (kind.preprocessing.version, kind.decoder):
            return None
        begin, count = _find_start(file.tell()), len(header.films)
        if not count or os.fstat(file.fileno()).st_size != begin + count * kind.bytes_per_film:
            return None
        shape = (count, kind.preprocessing.height, kind.preprocessing.width)
        mapped = np.memmap(file, dtype=np.uint8, mode="r", offset=begin, shape=shape)
    with suppress(OSError):
        os.utime(path)  # what was used last is removed last
    return GreyFile(path, header.films, mapped.view(np.ndarray))


def is_whole(path: Path, key: bytes) -> bool:
    """Whether a file, of whatever preprocessing and decoder, is byte by byte what this home has written."""
    try:
        with open_kept(path) as file:
            header = _read_header(file, key)
            if header is None or not header.films:
                return False
            begin, size = _find_start(file.tell()), os.fstat(file.fileno()).st_size
            file.seek(begin)
            each = (size - begin) // len(header.films)
            hashes = [hashlib.sha256(file.read(each)).hexdigest() for _ in header.films]
    except OSError:
        return False
    return hashes == [film.greys_sha256 for film in header.films] and size == begin + each * len(header.films)


def _read_header(file: BinaryIO, key: bytes) -> _Header | None:
    """What stands at the start of a file, its grey levels' hashes too; None where the seal does not hold."""
    content = read_sealed(file, _MAGIC, key)
    try:
        return None if content is None else _HEADER.validate_json(content)
    except ValidationError:  # ours, and of a version that kept other facts
        return None


def _find_start(end_of_header: int) -> int:
    """Where the grey levels begin: at a page of their own."""
    return -(-end_of_header // _PAGE) * _PAGE
