"""Remedies against shortcuts: steps on grey levels that training and scoring share, recorded in `model.json`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image, ImageOps

from xray_core.imaging.records import Remedy

Grey = NDArray[np.uint8]

_SMALL = 64  # lungs are looked for at this size
_TILES = 8
_CLIP = 3.0  # a tile's histogram is cut at this many times its mean


def mend(grey: Grey, remedies: Sequence[str]) -> Grey:
    """Apply all remedies but the crop to the lungs to a fitted X-ray (height, width) uint8, in their order here.

    Markers go first, so that equalising does not spread them. Raises ValueError on an unknown name.
    """
    names = [Remedy(name) for name in remedies]
    if Remedy.MASK_MARKERS in names:
        grey = mask_markers(grey)
    if Remedy.EQUALIZE in names:
        grey = equalize(grey)
    if Remedy.CLAHE in names:
        grey = equalize_in_tiles(grey)
    return grey


def crop_to_lungs(pixels: Grey) -> Grey:
    """Cut an X-ray (height, width) uint8 to the box around both lungs; what lies outside cannot be learned from."""
    top, left, bottom, right = find_lung_box(pixels)
    return pixels[top:bottom, left:right]


def find_lung_box(pixels: Grey) -> tuple[int, int, int, int]:
    """The box (top, left, bottom, right) around both lungs in pixels; the whole X-ray where they are not found.

    A plain rule at 64 x 64: dark against the middle of the chest (Otsu's threshold, IEEE Trans. SMC 1979;9:62-66),
    connected to where a lung's core lies and not to the edge of the picture unless nothing else is left, at least a
    fiftieth of the picture on either side; the box is widened by a twentieth. It is meant to leave out markers,
    collimators and arms, not to outline lungs.
    """
    height, width = pixels.shape
    small = np.asarray(Image.fromarray(pixels).resize((_SMALL, _SMALL), Image.Resampling.BOX), dtype=np.uint8)
    is_lung = _find_lungs(small)
    if not is_lung.any():
        return 0, 0, height, width
    rows, columns = np.nonzero(is_lung)
    top, bottom = np.quantile(rows, (0.01, 0.99)) / _SMALL + (-0.05, 0.05)
    left, right = np.quantile(columns, (0.01, 0.99)) / _SMALL + (-0.05, 0.05)
    box = (max(0.0, top), max(0.0, left), min(1.0, bottom + 1 / _SMALL), min(1.0, right + 1 / _SMALL))
    return round(box[0] * height), round(box[1] * width), round(box[2] * height), round(box[3] * width)


def equalize(grey: Grey) -> Grey:
    """Spread the grey levels evenly over 0..255: exposure says nothing any more."""
    return np.asarray(ImageOps.equalize(Image.fromarray(grey)), dtype=np.uint8)


def equalize_in_tiles(grey: Grey) -> Grey:
    """Equalise in 8 x 8 tiles with limited contrast and smooth seams (CLAHE).

    Zuiderveld, Graphics Gems IV, 1994, pages 474-485. Written here because the scoring path has numpy and Pillow
    and would not load OpenCV or scikit-image for one function.
    """
    height, width = grey.shape
    rows, columns = np.arange(height) * _TILES // height, np.arange(width) * _TILES // width
    tile = rows[:, np.newaxis] * _TILES + columns[np.newaxis]
    counts = np.bincount((tile * 256 + grey).ravel(), minlength=_TILES**2 * 256).reshape(-1, 256).astype(np.float64)
    size = counts.sum(axis=1, keepdims=True)
    limit = _CLIP * size / 256
    excess = np.maximum(counts - limit, 0).sum(axis=1, keepdims=True)
    levels = np.cumsum(np.minimum(counts, limit) + excess / 256, axis=1) / np.maximum(size, 1) * 255
    y, x = _tile_places(height), _tile_places(width)
    mixed = np.zeros(grey.shape)
    for row, row_weight in _neighbours(y):
        for column, column_weight in _neighbours(x):
            level = levels[row[:, np.newaxis] * _TILES + column[np.newaxis], grey]
            mixed += row_weight[:, np.newaxis] * column_weight[np.newaxis] * level
    return mixed.round().clip(0, 255).astype(np.uint8)


def mask_markers(grey: Grey) -> Grey:
    """Paint over small bright marks in the outer fifth of the picture: letters, arrows, dates, edges of plates.

    A mark is narrower than a twelfth of the picture and at least 50 grey levels brighter than what is left when all
    that is so narrow is taken away (white top-hat; Serra 1982). It is filled with that.
    """
    reach = max(1, min(grey.shape) // 24)
    level = _slide(_slide(grey, reach, np.min), reach, np.max)
    is_mark = (grey.astype(np.int16) - level > 50) & ~_middle(grey.shape, 0.2)
    is_mark = _slide(is_mark.astype(np.uint8), 1, np.max).astype(np.bool_)
    return np.where(is_mark, level, grey)


def erase_border(images: NDArray[np.uint8], rng: np.random.Generator, *, most: float = 0.15) -> NDArray[np.uint8]:
    """Augment training X-rays (n, height, width) uint8: of half of them erase a border of up to `most` of each side.

    Each side of each X-ray has its own width; the border becomes one random grey. So no network can rely on it. For
    training alone: nothing of it belongs into scoring.
    """
    count, height, width = images.shape
    erased = images.copy()
    for place in np.flatnonzero(rng.random(count) < 0.5):
        top, bottom = (round(float(share) * height) for share in rng.uniform(0, most, 2))
        left, right = (round(float(share) * width) for share in rng.uniform(0, most, 2))
        is_border = np.ones((height, width), dtype=np.bool_)
        is_border[top : height - bottom, left : width - right] = False
        erased[place, is_border] = rng.integers(256)
    return erased


# Where the core of a lung lies, and how far it may reach, as (top, left, bottom, right) of 64.
_LEFT = ((14, 11, 36, 26), (1, 0, 58, 31))
_RIGHT = ((14, 38, 36, 53), (1, 33, 58, 64))


def _find_lungs(small: Grey) -> NDArray[np.bool_]:
    """Where the lungs are in a 64 x 64 picture, or nothing."""
    middle = small[8:48, 8:56]
    nothing = np.zeros(small.shape, dtype=np.bool_)
    if int(middle.max()) - int(middle.min()) < 16:
        return nothing
    is_dark = small < _otsu(middle)
    air = _grow(is_dark & ~_middle(small.shape, 1 / _SMALL), is_dark)
    for allowed in (is_dark & ~air, is_dark):  # lungs that the film cuts off hang together with the air
        lungs = [_grow(allowed & _inside(core), allowed & _inside(reach)) for core, reach in (_LEFT, _RIGHT)]
        if min(lung.sum() for lung in lungs) >= _SMALL**2 / 50:
            return lungs[0] | lungs[1]
    return nothing


def _inside(box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    inside = np.zeros((_SMALL, _SMALL), dtype=np.bool_)
    inside[box[0] : box[2], box[1] : box[3]] = True
    return inside


def _grow(seeds: NDArray[np.bool_], allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Everything allowed that is connected to the seeds, step by step over the four neighbours."""
    grown = seeds & allowed
    while True:
        wider = grown.copy()
        wider[1:] |= grown[:-1]
        wider[:-1] |= grown[1:]
        wider[:, 1:] |= grown[:, :-1]
        wider[:, :-1] |= grown[:, 1:]
        wider &= allowed
        if (wider == grown).all():
            return grown
        grown = wider


def _otsu(values: Grey) -> int:
    """The threshold that separates dark from bright best: largest variance between the two."""
    counts = np.bincount(values.ravel(), minlength=256).astype(np.float64)
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * np.arange(256))
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return int(np.nanargmax(np.nan_to_num(between))) + 1


def _middle(shape: tuple[int, ...], margin: float) -> NDArray[np.bool_]:
    inside = np.zeros(shape, dtype=np.bool_)
    top, left = round(shape[0] * margin), round(shape[1] * margin)
    inside[top : shape[0] - top, left : shape[1] - left] = True
    return inside


def _slide(grey: Grey, reach: int, pick: Callable[..., Grey]) -> Grey:
    """The least or largest grey level within `reach` pixels in rows and columns, the same shape."""
    for axis in (0, 1):
        padded = np.pad(grey, [(reach, reach) if side == axis else (0, 0) for side in (0, 1)], mode="edge")
        grey = pick(sliding_window_view(padded, 2 * reach + 1, axis=axis), axis=-1)
    return grey


def _tile_places(length: int) -> NDArray[np.float64]:
    """Where each pixel lies between the middles of the tiles: 1.25 is a quarter of the way from tile 1 to tile 2."""
    return ((np.arange(length) + 0.5) * _TILES / length - 0.5).clip(0, _TILES - 1)


def _neighbours(places: NDArray[np.float64]) -> tuple[tuple[NDArray[np.intp], NDArray[np.float64]], ...]:
    """Both tiles next to each pixel, with their weights."""
    lower = np.minimum(places.astype(np.intp), _TILES - 2)
    return (lower, 1 - (places - lower)), (lower + 1, places - lower)
