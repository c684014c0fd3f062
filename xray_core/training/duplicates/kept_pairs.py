"""Near-duplicate pairs, kept beside the grey levels that they were found in: the next training searches what is new."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import TypeAdapter, ValidationError

from xray_core.exchange.atomic_file import write_whole
from xray_core.imaging.records import Preprocessing
from xray_core.processes.decoder import Decoded
from xray_core.processes.grey_file import GreyKind
from xray_core.processes.grey_store import GreyStore, fingerprint_decoder, make_room
from xray_core.processes.sealed_file import open_kept, read_sealed, seal
from xray_core.records import LabelledXray
from xray_core.training.duplicates import near_duplicates
from xray_core.training.duplicates.near_duplicates import SKETCH, Film, Searched, search_new

_LOG = logging.getLogger(__name__)

_MAGIC: Final = b"xray pairs, 2\n\0\0"
_SKETCH_BYTES: Final = 4 * SKETCH[0] * SKETCH[1]


@dataclass(frozen=True, slots=True)
class _Header:
    version: str
    search: str
    films: tuple[Film, ...]
    pairs: tuple[tuple[int, int], ...]


_HEADER: Final = TypeAdapter(_Header)


def find_pairs(
    store: GreyStore | None,
    preprocessing: Preprocessing,
    chest_words: tuple[str, ...],
    xrays: Sequence[LabelledXray],
    decoded: dict[str, Decoded],
    *,
    foreign: Sequence[LabelledXray] = (),
) -> list[tuple[str, str]]:
    """The pairs of X-rays, by SHA-256, that show the same picture; all of them are decoded.

    With a `store` what was searched by earlier trainings is not searched again, and what is found now is kept; of
    `foreign` X-rays, which are searched beside the others, nothing is.
    """
    films, visiting = ([Film(xray.sha256, xray.dhash) for xray in some] for some in (xrays, foreign))
    if store is None:
        searched = search_new(Searched(), films, lambda sha256: decoded[sha256].grey)
    else:
        searched = _search_kept(store, GreyKind(preprocessing, fingerprint_decoder(chest_words)), films, decoded)
    if visiting:
        films = [*films, *visiting]
        searched = search_new(searched, films, lambda sha256: decoded[sha256].grey)
    return searched.list_pairs(films)


def _search_kept(store: GreyStore, kind: GreyKind, films: list[Film], decoded: dict[str, Decoded]) -> Searched:
    known = _read(store, kind)
    searched = search_new(known, films, lambda sha256: decoded[sha256].grey)
    if searched is not known:
        _keep(store, kind, searched)
    return searched


def _read(store: GreyStore, kind: GreyKind) -> Searched:
    """What earlier trainings searched; nothing where it is not byte by byte what this home and this code wrote."""
    path = _find_file(store, kind)
    try:
        with open_kept(path) as file:
            body = read_sealed(file, _MAGIC, store.key)
    except FileNotFoundError:
        return Searched()
    except OSError as error:
        _LOG.warning("kept pairs cannot be read (%s): all films are searched again", error.strerror)
        return Searched()
    header = None if body is None else _read_header(body)
    if (
        body is None
        or header is None
        or (header.version, header.search) != (kind.preprocessing.version, _fingerprint(kind))
    ):
        _LOG.warning("kept pairs are cut, foreign, or of another search: all films are searched again")
        return Searched()
    sketches = np.frombuffer(body[-_SKETCH_BYTES * len(header.films) :], dtype="<f4").reshape(-1, *SKETCH)
    return Searched(header.films, sketches, header.pairs)


def _read_header(body: bytes) -> _Header | None:
    length = int.from_bytes(body[:8], "little")
    try:
        return _HEADER.validate_json(body[8 : 8 + length])
    except ValidationError:
        return None


def _keep(store: GreyStore, kind: GreyKind, searched: Searched) -> None:
    header = _HEADER.dump_json(_Header(kind.preprocessing.version, _fingerprint(kind), searched.films, searched.pairs))
    body = len(header).to_bytes(8, "little") + header + searched.sketches.astype("<f4").tobytes()
    path = _find_file(store, kind)
    try:
        store.folder.mkdir(mode=0o700, exist_ok=True)
        if make_room(store, kind, len(body)):
            write_whole(path, seal(_MAGIC, store.key, body))
            return
        why = "they would take more than XRAY_KEPT_MIB, or the disk is nearly full"
    except OSError as error:
        why = error.strerror or type(error).__name__
    _LOG.warning("near-duplicate pairs are not kept (%s): the next training searches them again", why)


def _find_file(store: GreyStore, kind: GreyKind) -> Path:
    return store.folder / f"{kind.preprocessing.version}.pairs"


@cache
def _fingerprint(kind: GreyKind) -> str:
    """What tells one search from another: its module by content, and the decoder."""
    module = Path(near_duplicates.__file__).read_bytes()
    return hashlib.sha256(kind.decoder.encode() + module).hexdigest()
