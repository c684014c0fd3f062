"""Near-duplicates: X-rays that show the same picture in other bytes (saved again, resized, brightened, cropped)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Measured on 240 real chest X-rays. At Hamming distance 12 the 64-bit hash proposes 4,960 of 28,680 pairs, nearly
# all of them unrelated: chest films look alike at 8 x 8. On the pixels unrelated pairs reach 0.961 at most, while
# copies that were compressed (JPEG 30), shrunk to a quarter, equalised, gamma-changed or cropped by up to 6 % reach
# 0.993 at least.
MOST_BITS = 12
LEAST_CORRELATION = 0.98
_SIDE = 32
_CROPS = (0.0, 0.02, 0.04, 0.06)  # cut from each edge
_ROWS_AT_A_TIME = 1024


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Confirmed pairs (i, j), i < j, as places in what was searched, and how many pairs the hash alone proposed."""

    pairs: tuple[tuple[int, int], ...]
    proposed: int


def find_near_duplicates(dhashes: Sequence[str], load_pixels: Callable[[int], NDArray[np.uint8]]) -> NearDuplicates:
    """Find the pairs of X-rays that show the same picture.

    `dhashes` are 64-bit difference hashes as 16 hex digits; a small distance only proposes a pair. `load_pixels`
    gives the grey levels (height, width) uint8 of the i-th X-ray, best the fitted ones: it is asked once for each
    X-ray that is in a proposed pair. A pair is confirmed by the rank correlation of 32 x 32 thumbnails, the one whole,
    the other whole or cropped by up to 6 %. Ten thousand X-rays take seconds beyond their loading. Raises ValueError
    on a bad hash.
    """
    hashes = np.array([_read_hash(text) for text in dhashes], dtype=np.uint64)
    proposed, involved = _propose(hashes)
    if not proposed:
        return NearDuplicates((), 0)
    thumbnails = np.stack([_draw_thumbnails(load_pixels(int(i))) for i in involved], axis=1)
    pairs = {
        (min(i, j), max(i, j))
        for rows, columns in _confirm(hashes[involved], thumbnails)
        for i, j in zip(involved[rows].tolist(), involved[columns].tolist(), strict=True)
        if i != j
    }
    return NearDuplicates(tuple(sorted(pairs)), proposed)


def _read_hash(text: str) -> int:
    if len(text) != 16:
        raise ValueError(f"received a dHash of {len(text)} digits; expected 16 hexadecimal digits")
    return int(text, 16)


def _propose(hashes: NDArray[np.uint64]) -> tuple[int, NDArray[np.intp]]:
    """How many pairs the hash proposes, and which X-rays are in any of them."""
    twice = 0
    is_involved = np.zeros(len(hashes), dtype=np.bool_)
    for start in range(0, len(hashes), _ROWS_AT_A_TIME):
        near = _are_near(hashes[start : start + _ROWS_AT_A_TIME], hashes)
        near[np.arange(len(near)), start + np.arange(len(near))] = False
        twice += int(near.sum())
        is_involved[start : start + len(near)] = near.any(axis=1)
    return twice // 2, np.flatnonzero(is_involved)


def _are_near(some: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = np.bitwise_count(some[:, np.newaxis] ^ others[np.newaxis, :]) <= MOST_BITS
    return near


def _confirm(
    hashes: NDArray[np.uint64], thumbnails: NDArray[np.float32]
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows and columns of confirmed pairs, block by block; `thumbnails` is (crops, n, pixels), the first one whole."""
    pairs: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
    for start in range(0, len(hashes), _ROWS_AT_A_TIME):
        block = slice(start, start + _ROWS_AT_A_TIME)
        likeness = reduce(np.maximum, (thumbnails[0, block] @ crop.T for crop in thumbnails))
        rows, columns = np.nonzero((likeness >= LEAST_CORRELATION) & _are_near(hashes[block], hashes))
        pairs.append((rows + start, columns))
    return pairs


def _draw_thumbnails(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Rank-normalised thumbnails (crops, 1024) float32 of length 1: ranks undo a change of brightness or contrast."""
    image = Image.fromarray(pixels)
    drawn = np.empty((len(_CROPS), _SIDE * _SIDE), dtype=np.float32)
    for place, cut in enumerate(_CROPS):
        box = (image.width * cut, image.height * cut, image.width * (1 - cut), image.height * (1 - cut))
        small = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, box=box)).ravel()
        drawn[place] = _normalise_ranks(small)
    return drawn


def _normalise_ranks(values: NDArray[np.uint8]) -> NDArray[np.float32]:
    counts = np.bincount(values, minlength=256)
    ranks = (np.cumsum(counts) - counts / 2)[values]  # equal grey levels share their middle rank
    ranks -= ranks.mean()
    length = np.linalg.norm(ranks)
    return (ranks / length if length else ranks).astype(np.float32)
