"""Grey levels to network input: the one path that training and scoring share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_core.imaging.records import Preprocessing, Remedy, Scaling
from xray_core.imaging.remedies import crop_to_lungs, mend

# ImageNet channel means in BGR order, as in keras.applications.imagenet_utils (mode "caffe").
_CAFFE_MEANS = np.array([103.939, 116.779, 123.68], dtype=np.float32)


def fit_pixels(pixels: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Grey levels of any size, (height, width) uint8, to the network's size, still grey levels 0..255.

    Stretches to the network's aspect as the tutorial does. The filter covers every source pixel
    (no aliasing). The remedies, where the preprocessing has any, are applied here. This half runs in the decoder
    processes: what leaves them is small.
    """
    return fit_picture(Image.fromarray(pixels), preprocessing)


def fit_picture(picture: Image.Image, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """The same of a picture in grey levels (mode L), whose pixels are then copied once fewer."""
    remedies = preprocessing.remedies
    if Remedy.LUNG_CROP in remedies:
        picture = Image.fromarray(crop_to_lungs(np.asarray(picture)))
    size = (preprocessing.width, preprocessing.height)
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    grey = np.asarray(picture, dtype=np.uint8)
    return mend(grey, remedies) if remedies else grey


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
