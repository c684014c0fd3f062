"""Grey levels to network input: the one path that training and scoring share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.imaging.remedies import crop_before_fit, mend

# ImageNet channel means in BGR order, as in keras.applications.imagenet_utils (mode "caffe").
_CAFFE_MEANS = np.array([103.939, 116.779, 123.68], dtype=np.float32)


def fit_pixels(pixels: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Grey levels of any size, (height, width) uint8, to the network's size, still grey levels 0..255.

    Stretches to the network's aspect as the tutorial does. The filter covers every source pixel
    (no aliasing). The remedies, where the preprocessing has any, are applied here. This half runs in the decoder
    processes: what leaves them is small.
    """
    pixels = crop_before_fit(pixels, preprocessing.remedies)
    size = (preprocessing.width, preprocessing.height)
    image = Image.fromarray(pixels)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return mend(np.asarray(image, dtype=np.uint8), preprocessing.remedies)


def scale_pixels(grey: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Fitted grey levels (..., height, width) uint8 to network numbers (..., height, width, channels) float32."""
    values = np.repeat(grey[..., np.newaxis], preprocessing.channels, axis=-1).astype(np.float32)
    match preprocessing.scaling:
        case Scaling.UNIT:
            values /= np.float32(255)
        case Scaling.CAFFE:
            values -= _CAFFE_MEANS
        case Scaling.MINUS_ONE_TO_ONE:
            values /= np.float32(127.5)
            values -= np.float32(1)
        case Scaling.NONE:
            pass
    return values
