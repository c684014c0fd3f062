"""The forward pass that a training learns by: what a network's own layers compute, in fewer operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from xray_core.imaging.records import Preprocessing
from xray_core.networks.quiet_keras import keras, tf
from xray_core.networks.records import Architecture


@dataclass(frozen=True, slots=True)
class LearningPass:
    """Batches of network numbers (n, height, width, channels) to P(covid) (n, 1), dropout and all, within a gradient.

    `preprocessing` says what the numbers are made by: it has fewer channels than the network where that is enough.
    """

    run: Callable[[Any], Any]
    preprocessing: Preprocessing


def plan_pass(model: keras.Model, architecture: Architecture, preprocessing: Preprocessing) -> LearningPass:
    """The tutorial's network in short, where each of its channels holds the same picture; any other as it is.

    The same numbers but for the last digits, and the same weights learn. A kernel over equal channels is its sum over
    one of them. The greatest of four, plus a bias, and no less than 0, is the greatest of what these make of each: so
    the bias and the ReLU are computed after the pooling, on a quarter of the places.
    """
    if architecture is Architecture.SEED_CNN and preprocessing.has_equal_channels:
        return LearningPass(lambda numbers: _run_in_short(model.layers, numbers), replace(preprocessing, channels=1))
    return LearningPass(lambda numbers: model(numbers, training=True), preprocessing)


def _run_in_short(layers: list[Any], numbers: Any) -> Any:
    """Convolution, ReLU and pooling three times, as `architectures` has them, then what is left, layer by layer."""
    *blocks, rest = layers[0:3], layers[3:6], layers[6:9], layers[9:]
    for place, (convolution, relu, pooling) in enumerate(blocks):
        kernel = convolution.kernel if place else tf.reduce_sum(convolution.kernel, axis=2, keepdims=True)
        largest = pooling(tf.nn.conv2d(numbers, kernel, strides=1, padding="VALID"))
        numbers = relu(tf.nn.bias_add(largest, convolution.bias))
    for layer in rest:
        takes_training = isinstance(layer, keras.layers.Dropout)
        numbers = layer(numbers, training=True) if takes_training else layer(numbers)
    return numbers
