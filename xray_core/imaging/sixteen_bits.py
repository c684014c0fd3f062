"""PNGs of 16 bits a channel to 8-bit grey levels: grey or colour, opaque alpha or none, by one rule.

Pillow opens all but plain grey at 8 bits (Pillow#1888 and #7723): 12-bit values then are nearly black.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_core.errors import UnreadableXray
from xray_core.imaging.colour import COLOUR_SPREAD, refuse_colour, weigh
from xray_core.imaging.grey_range import stretch
from xray_core.imaging.png import PngLayout
from xray_core.imaging.records import GreyRules
from xray_core.records import ReasonCode

Deep = NDArray[np.uint16]


def stretch_png(image: Image.Image, deep: Deep | None, layout: PngLayout, rules: GreyRules) -> Image.Image:
    """The grey levels of a PNG of 16 bits: of its colours, `deep`, or of what Pillow makes of it, `image`.

    Raises UnreadableXray, CORRUPT_IMAGE for one in colour whose channels Pillow alone can read.
    """
    if rules is GreyRules.V1:
        return _stretch_by_first_rules(image)
    return Image.fromarray(stretch(read_deep_grey(image, deep, layout)))


def read_deep_grey(image: Image.Image, deep: Deep | None, layout: PngLayout) -> Deep:
    """The stored values (height, width) uint16 of such a PNG, as they lie in the file. Raises UnreadableXray."""
    if deep is None and layout.colour_type != 0:
        raise UnreadableXray(ReasonCode.CORRUPT_IMAGE, "PNG: its 16 bits a channel cannot be decoded")
    stored = np.asarray(image) if deep is None else deep
    stored = _drop_alpha(stored, layout, image.info.get("transparency"))
    if stored.ndim == 3 and all(np.array_equal(stored[..., 0], stored[..., band]) for band in (1, 2)):
        stored = np.ascontiguousarray(stored[..., 0])
    # Band by band: a fifth of the time of all at once.
    bands = [stored] if stored.ndim == 2 else [stored[..., band] for band in range(3)]
    low, high = min(int(band.min()) for band in bands), max(int(band.max()) for band in bands)
    if low == high:
        raise UnreadableXray(ReasonCode.NO_CONTRAST, "all pixels are alike")
    if stored.ndim == 3:
        refuse_colour(stored, COLOUR_SPREAD / 255 * (high - low))
        return weigh(stored)
    return stored


def _drop_alpha(stored: Deep, layout: PngLayout, transparent: object) -> Deep:
    """Grey (height, width) or colour (height, width, 3) without alpha; TRANSPARENT_PIXELS unless that is opaque."""
    alpha = stored[..., -1] if layout.colour_type in (4, 6) else None
    has_holes = alpha is not None and int(alpha.min()) < 2**16 - 1
    if transparent is not None:
        has_holes = bool((stored == np.array(transparent)).reshape(*stored.shape[:2], -1).all(axis=-1).any())
    if has_holes:
        raise UnreadableXray(ReasonCode.TRANSPARENT_PIXELS, "pixels that let the background through")
    if alpha is not None:
        stored = stored[..., :-1]
    return stored[..., 0] if stored.shape[2:] == (1,) else stored


def _stretch_by_first_rules(image: Image.Image) -> Image.Image:
    """16-bit grey levels to 8 bits as for models of the first rules, for ever: darkest to 0, brightest to 255."""
    if "transparency" in image.info:
        raise UnreadableXray(ReasonCode.TRANSPARENT_PIXELS, "pixels that let the background through")
    stored = np.asarray(image).astype(np.float32)
    low, high = float(stored.min()), float(stored.max())
    if low == high:
        raise UnreadableXray(ReasonCode.NO_CONTRAST, "all pixels are alike")
    return Image.fromarray(np.rint((stored - low) * (255 / (high - low))).astype(np.uint8))
