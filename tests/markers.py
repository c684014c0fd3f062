"""A burnt-in marker: the shortcut that an audit must find and a remedy must paint over."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def paint_marker(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy of an X-ray (height, width) uint8 with a burnt-in white letter L in its upper left corner.

    Painted into one class alone it is the shortcut that an audit must find.
    """
    marked = pixels.copy()
    height, width = marked.shape
    stroke, top, left, bottom = max(2, height // 64), height // 24, width // 24, height // 24 + height // 9
    marked[top:bottom, left : left + stroke] = 255
    marked[bottom - stroke : bottom, left : left + width // 14] = 255
    return marked
