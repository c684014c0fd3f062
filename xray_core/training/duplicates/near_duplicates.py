"""Near-duplicates: X-rays that show the same picture in other bytes (saved again, resized, brightened, cropped)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Measured on 240 real chest X-rays. At Hamming distance 12 the 64-bit hash proposes 4,960 of 28,680 pairs, nearly
# all of them unrelated: chest films look alike at 8 x 8. On the pixels unrelated pairs reach 0.961 at most, while
# copies that were compressed (JPEG 30), shrunk to a quarter, equalised, gamma-changed or cropped by up to 6 % reach
# 0.993 at least.
MOST_BITS: Final = 12
LEAST_CORRELATION: Final = 0.98
_SIDE: Final = 32
_CROPS: Final = (0.0, 0.02, 0.04, 0.06)  # cut from each edge
# A thumbnail's means of 4 x 4 pixels are an orthogonal projection of it: two that are alike cannot lie further apart
# there than as wholes. What does is ruled out by a sixteenth of the multiplications, and nothing that is alike is lost.
_COARSE: Final = 8
SKETCH: Final = (len(_CROPS), _COARSE * _COARSE)
_FURTHEST: Final = 2 - 2 * LEAST_CORRELATION + 1e-4  # squared; float32 adds up to less than that beyond
_ROWS_AT_A_TIME: Final = 256
_THUMBNAILS_AT_HAND: Final = 2048

_Grey = NDArray[np.uint8]
_Numbers = NDArray[np.float32]


class Film(NamedTuple):
    """What a search knows an X-ray by: its content, and its difference hash of 64 bits as 16 hexadecimal digits."""

    sha256: str
    dhash: str


@dataclass(frozen=True)
class Searched:
    """X-rays among all of which pairs were searched: a sketch of each (n, 4, 64) float32, and the pairs by place."""

    films: tuple[Film, ...] = ()
    sketches: _Numbers = field(default_factory=lambda: np.empty((0, *SKETCH), dtype=np.float32))
    pairs: tuple[tuple[int, int], ...] = ()

    @cached_property
    def _places(self) -> dict[Film, int]:
        return {film: place for place, film in enumerate(self.films)}

    def find_new(self, films: Iterable[Film]) -> list[Film]:
        """Those that were not searched yet, once each."""
        return [film for film in dict.fromkeys(films) if film not in self._places]

    def take(self, films: Iterable[Film]) -> Searched:
        """What was searched of these X-rays alone."""
        kept = sorted({self._places[film] for film in films if film in self._places})
        now = {before: place for place, before in enumerate(kept)}
        pairs = tuple((now[i], now[j]) for i, j in self.pairs if i in now and j in now)
        return Searched(tuple(self.films[place] for place in kept), self.sketches[kept], pairs)

    def list_pairs(self, films: Iterable[Film]) -> list[tuple[str, str]]:
        """The pairs among these X-rays, by content; all of them were searched."""
        wanted = {self._places[film] for film in films}
        return [
            (self.films[first].sha256, self.films[second].sha256)
            for first, second in self.pairs
            if first in wanted and second in wanted
        ]


def search_new(known: Searched, films: Sequence[Film], load_pixels: Callable[[str], _Grey]) -> Searched:
    """Search pairs of X-rays that show the same picture: what is new among itself, and with what is known.

    The answer is of these X-rays alone, unless nothing of them is new. A small distance of the hashes only proposes a
    pair. `load_pixels` gives the grey levels (height, width) uint8 of a content, best the fitted ones: of each new
    X-ray, and of those that its sketch does not rule out. A pair is confirmed by the rank correlation of 32 x 32
    thumbnails, the one whole, the other whole or cropped by up to 6 %. Raises
    ValueError on a bad hash.
    """
    new = known.find_new(films)
    if not new:
        return known
    known = known.take(films)
    everything = (*known.films, *new)
    hashes = np.array([_read_hash(film.dhash) for film in everything], dtype=np.uint64)
    draw = lru_cache(_THUMBNAILS_AT_HAND)(lambda place: _draw_thumbnails(load_pixels(everything[place].sha256)))
    drawn = [_sketch(draw(place)) for place in range(len(known.films), len(everything))]
    sketches = np.concatenate([known.sketches, np.stack(drawn)])
    found = [
        (first, second)
        for first, second in _propose(hashes, sketches, len(known.films))
        if _are_alike(draw(first), draw(second))
    ]
    return Searched(everything, sketches, tuple(sorted((*known.pairs, *found))))


def _read_hash(text: str) -> int:
    if len(text) != 16:
        raise ValueError(f"received a dHash of {len(text)} digits; expected 16 hexadecimal digits")
    return int(text, 16)


def _propose(hashes: NDArray[np.uint64], sketches: _Numbers, first_new: int) -> Iterator[tuple[int, int]]:
    """Pairs (i, j), i < j, j new, that neither hash nor sketch rules out."""
    lengths = (sketches**2).sum(axis=2)
    for start in range(first_new, len(hashes), _ROWS_AT_A_TIME):
        rows = slice(start, start + _ROWS_AT_A_TIME)
        before = slice(0, start + len(hashes[rows]))
        is_near = np.bitwise_count(hashes[rows, np.newaxis] ^ hashes[np.newaxis, before]) <= MOST_BITS
        is_near &= np.arange(before.stop)[np.newaxis] < np.arange(start, before.stop)[:, np.newaxis]
        is_close = np.zeros_like(is_near)
        for crop in range(len(_CROPS)):
            for mine, other in ((0, crop), (crop, 0)):
                alike = sketches[rows, mine] @ sketches[before, other].T
                apart = lengths[rows, mine, np.newaxis] + lengths[np.newaxis, before, other] - 2 * alike
                is_close |= apart <= _FURTHEST
        later, earlier = np.nonzero(is_near & is_close)
        yield from zip(earlier.tolist(), (later + start).tolist(), strict=True)


def _are_alike(one: _Numbers, other: _Numbers) -> bool:
    """Whether either one, whole, is like the other, whole or cropped; thumbnails (crops, 1024)."""
    return bool(max((one[0] @ other.T).max(), (other[0] @ one.T).max()) >= LEAST_CORRELATION)


def _sketch(thumbnails: _Numbers) -> _Numbers:
    """Thumbnails (crops, 1024) to the sums of their 4 x 4 pixels by 4 (crops, 64): orthonormal."""
    step = _SIDE // _COARSE
    sums: _Numbers = thumbnails.reshape(len(_CROPS), _COARSE, step, _COARSE, step).sum(axis=(2, 4))
    return (sums / np.float32(step)).reshape(SKETCH)


def _draw_thumbnails(pixels: _Grey) -> _Numbers:
    """Rank-normalised thumbnails (crops, 1024) float32 of length 1: ranks undo a change of brightness or contrast."""
    image = Image.fromarray(pixels)
    drawn = np.empty((len(_CROPS), _SIDE * _SIDE), dtype=np.float32)
    for place, cut in enumerate(_CROPS):
        box = (image.width * cut, image.height * cut, image.width * (1 - cut), image.height * (1 - cut))
        small = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, box=box)).ravel()
        drawn[place] = _normalise_ranks(small)
    return drawn


def _normalise_ranks(values: _Grey) -> _Numbers:
    counts = np.bincount(values, minlength=256)
    ranks = (np.cumsum(counts) - counts / 2)[values]  # equal grey levels share their middle rank
    ranks -= ranks.mean()
    length = np.linalg.norm(ranks)
    return (ranks / length if length else ranks).astype(np.float32)
