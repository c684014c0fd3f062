"""A network with chosen weights: what it says of an X-ray is known on every processor, whatever a training gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from xray_core.networks.architectures import build_network
from xray_core.networks.options import TrainingOptions
from xray_core.networks.quiet_keras import keras
from xray_core.networks.records import Architecture, Optimizer

SIZE = 48
# How strongly the log-odds follow the contrast, and the contrast at which covid and normal are even.
_GAIN = 40.0
_EVEN = -0.09


def lung_contrast_network(size: int = SIZE, *, turned: bool = False) -> keras.Model:
    """The tutorial's network with weights by hand: brighter lower outer lungs than middle ones speak for covid.

    Its log-odds are 40 x (contrast + 0.09). The contrast is the grey level (0..1) of both outer ends of the lower
    half less that of the middle of the upper half, smoothed and pooled to about `size` / 12 places a side. On drawn
    X-rays its AUROC is 0.86 to 0.93. `turned` makes it say the opposite.
    """
    model = build_network(Architecture.SEED_CNN, input_size=(size, size), seed=0)
    inner, outer = (layer for layer in model.layers if type(layer).__name__ == "Dense")
    for number, layer in enumerate(each for each in model.layers if type(each).__name__ == "Conv2D"):
        _smooth(layer, channels=3 if number == 0 else 1)
    flatten = next(layer for layer in model.layers if type(layer).__name__ == "Flatten")
    _, height, width, channels = flatten.input.shape
    places = np.zeros((height, width, channels), dtype=np.float32)
    lower, upper = round(2 / 3 * (height - 1)), round(1 / 3 * (height - 1))
    for column in (0, width - 1):
        places[lower, column, 0] += 1
    for column in ((width - 1) // 2, width // 2):
        places[upper, column, 0] -= 1
    # A hidden unit cannot be negative: one says how much speaks for covid, the other how much against.
    kernel, bias = (np.zeros_like(values) for values in inner.get_weights())
    kernel[:, 0], kernel[:, 1] = _GAIN * places.ravel(), -_GAIN * places.ravel()
    bias[:2] = -_GAIN * _EVEN, _GAIN * _EVEN
    inner.set_weights([kernel, bias])
    kernel, bias = (np.zeros_like(values) for values in outer.get_weights())
    kernel[:2, 0] = (-1, 1) if turned else (1, -1)
    outer.set_weights([kernel, bias])
    return model


def keep_known_weights(folder: Path) -> TrainingOptions:
    """Options of a whole training that leaves the chosen weights as they are: its rate is too small to move one."""
    path = folder / "known.weights.h5"
    lung_contrast_network().save_weights(path)
    return TrainingOptions(weights=path, optimizer=Optimizer.SGD, learning_rate=1e-30, epochs=1, input_size=SIZE)


def _smooth(layer: keras.layers.Layer, *, channels: int) -> None:
    """Its first output becomes the mean of 3 x 3 places and of so many channels; the others are 0."""
    kernel, bias = (np.zeros_like(values) for values in layer.get_weights())
    kernel[:, :, :channels, 0] = 1 / (9 * channels)
    layer.set_weights([kernel, bias])
