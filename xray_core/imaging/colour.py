"""Pictures in colour: are they grey all the same, and which grey?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_core.errors import UnreadableXray
from xray_core.records import ReasonCode

# A pixel whose channels differ by more than this is coloured. Arrows and panel letters colour up to 1.2 % of the
# real films' pixels; a photograph colours most of them.
COLOUR_SPREAD = 32


_MOST_COLOURED = 0.10


_COLOUR_SAMPLE = 128


def check_grey(image: Image.Image) -> None:
    """Raise NOT_GREYSCALE for a picture of 8 bits (mode RGB or RGBA) that is coloured."""
    side = (min(_COLOUR_SAMPLE, image.width), min(_COLOUR_SAMPLE, image.height))
    refuse_colour(np.asarray(image.resize(side, Image.Resampling.NEAREST)), COLOUR_SPREAD)


def refuse_colour(pixels: NDArray[np.unsignedinteger], most: float) -> None:
    """Raise NOT_GREYSCALE where the channels of too many pixels (height, width, 3 or more) differ by more than that."""
    step = max(1, min(pixels.shape[:2]) // _COLOUR_SAMPLE)
    sample = pixels[::step, ::step]
    red, green, blue = sample[..., 0], sample[..., 1], sample[..., 2]  # ten times faster than .max(axis=-1)
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    coloured = float(np.mean(spread > most))
    if coloured > _MOST_COLOURED:
        raise UnreadableXray(ReasonCode.NOT_GREYSCALE, f"{coloured:.0%} of its pixels are coloured; expected a film")


def weigh(colour: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Red, green and blue as grey, with Pillow's weights (ITU-R 601-2): equal ones stay what they are."""
    red, green, blue = (colour[..., band].astype(np.uint32) for band in range(3))
    weighed = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return weighed.astype(np.uint16)
