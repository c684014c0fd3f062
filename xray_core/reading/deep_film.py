"""One X-ray file's bytes to all the grey levels that it holds, for a reader's eye."""

from __future__ import annotations

import warnings
from collections.abc import Collection

import numpy as np
from PIL import Image

from xray_core.imaging.grey_range import DeepPicture
from xray_core.imaging.limits import ImageLimits
from xray_core.imaging.png import PNG_SIGNATURE
from xray_core.imaging.radiograph import read_radiograph
from xray_core.imaging.raster import read_deep_png

_BIT_DEPTH = len(PNG_SIGNATURE) + 16  # of a PNG, behind the head of its first chunk, its width and its height


def read_deep_film(content: bytes, limits: ImageLimits, *, chest_words: Collection[str] = ()) -> DeepPicture:
    """Decode a PNG, JPEG or DICOM at its full depth, or raise UnreadableXray with the reason code why not.

    DICOM and PNGs of 16 bits keep every grey level; files of 8 bits have no more than those.
    Call it from one thread per process: it silences the libraries' warnings, which is a process-wide switch.
    """
    limits.check_bytes(len(content))
    if content.startswith(PNG_SIGNATURE) and content[_BIT_DEPTH : _BIT_DEPTH + 1] == b"\x10":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return read_deep_png(content, limits)
    if content[128:132] == b"DICM":
        from xray_core.imaging.dicom.film import read_deep_dicom

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read_deep_dicom(content, limits, chest_words=chest_words)
    return DeepPicture(read_radiograph(content, limits=limits).pixels.astype(np.uint16), 0, 255)
