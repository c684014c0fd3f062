"""Does a picture have the grey levels of a film? A blank page has none; a mask or a map of labels has a few.

Measured on 246 real films at thumbnail size: once the two commonest levels are set aside, 75 % of the pixels are left
at least, and half of those have at least 0.36 as many levels as lie between their 20th and 80th percentile. Of masks
and maps of up to 20 labels, as PNG, smoothed or as JPEG, less than 15 % are left or that share is below 0.15.
They lie beside the films in public sets (COVID-19 Radiography Database: `images` and `masks`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_core.errors import UnreadableXray
from xray_core.records import ReasonCode

# The grey levels between the 1st and the 99th percentile of a film span 100 at least; of a blank page, none.
_LEAST_CONTRAST = 16
# Below this span a few labels and a faint film have equally few levels: only where the pixels are equal tells.
_FAINT = 64
_LEAST_LEFT = 0.15
_LEAST_SPREAD = 0.15
# So many pixels of a map of labels equal their neighbour; and they are not all of one label.
_FLAT = 0.9
_NOT_BLANK = 0.995


def check_grey_levels(image: Image.Image, thumbnail: Image.Image) -> None:
    """Raise UnreadableXray for a picture (mode L) of too little contrast, NO_CONTRAST, or of FEW_GREY_LEVELS.

    `thumbnail` is the same picture reduced by averaging, its shorter side 64 to 127 pixels.
    """
    counts = np.array(thumbnail.histogram())
    span = _span(counts, 0.01)
    if span < _FAINT and _is_map(image, least_step=2 if span >= _LEAST_CONTRAST else 1):
        raise _few("its pixels equal their neighbours")
    if span < _LEAST_CONTRAST:
        raise UnreadableXray(
            ReasonCode.NO_CONTRAST, f"its grey levels span {span}; expected at least {_LEAST_CONTRAST}"
        )
    if _holds_few_levels(counts):
        raise _few("a few of them make up nearly all of it")


def _holds_few_levels(counts: NDArray[np.int64]) -> bool:
    """Whether little is left beside the two commonest levels, or what is left has few levels too."""
    left = counts.copy()
    for _ in range(2):
        commonest = int(left.argmax())
        left[max(0, commonest - 1) : commonest + 2] = 0
    if left.sum() < _LEAST_LEFT * counts.sum():
        return True
    half = int(np.searchsorted(np.cumsum(np.sort(left)[::-1]) / left.sum(), 0.5)) + 1
    return half <= max(2, _LEAST_SPREAD * _span(left, 0.2))


def _span(counts: NDArray[np.int64], outside: float) -> int:
    """How many levels lie between those that leave out this share of the pixels at either end."""
    low, high = np.searchsorted(np.cumsum(counts) / counts.sum(), (outside, 1 - outside))
    return int(high - low)


def _is_map(image: Image.Image, *, least_step: int) -> bool:
    """Whether nearly all pixels equal their neighbour and the others differ from it by `least_step` and more."""
    levels = np.asarray(image).astype(np.int16)
    steps = np.abs(np.diff(levels, axis=1))
    steps = steps[steps > 0]
    commonest = np.bincount(levels.ravel()).max() / levels.size
    is_flat = steps.size < (1 - _FLAT) * levels.size
    return bool(is_flat and steps.size and commonest < _NOT_BLANK and steps.mean() >= least_step)


def _few(detail: str) -> UnreadableXray:
    return UnreadableXray(
        ReasonCode.FEW_GREY_LEVELS, f"too few grey levels for a film: {detail}; a mask or a map of labels?"
    )
