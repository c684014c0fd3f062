"""An ONNX file from elsewhere, rewritten so that it takes grey levels as ours do and gives P(covid) or P(normal)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from xray_core.errors import IncompatibleModel
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.models.records import OutputMeaning
from xray_core.networks.foreign.output import OutputPlan, OutputRequest, plan_output
from xray_core.networks.records import InputRange

_STANDARD: Final = frozenset({"", "ai.onnx", "ai.onnx.ml"})
_OLDEST_OPSET: Final = 7
_PASS_ON: Final = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Cast"})
_SCALINGS: Final = {
    InputRange.UNIT: Scaling.UNIT,
    InputRange.MINUS_ONE_TO_ONE: Scaling.MINUS_ONE_TO_ONE,
    InputRange.GREY_LEVELS: Scaling.NONE,
    InputRange.IMAGENET: Scaling.UNIT,
}
# RGB, of pixels / 255: torchvision's Normalize of every ImageNet weight.
_IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
_IMAGENET_SD: Final = (0.229, 0.224, 0.225)
_OURS: Final = "xray_scoring_"


@dataclass(frozen=True, slots=True)
class WrappedNetwork:
    """The twin, how it is fed, what its output says, and what its team should know."""

    model: onnx.ModelProto
    preprocessing: Preprocessing
    output: OutputMeaning
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Input:
    name: str
    height: int
    width: int
    channels: int
    channels_first: bool


def read_network(path: Path) -> onnx.ModelProto:
    """Read and check an ONNX file: whole, self-contained, of standard operators. Raises IncompatibleModel."""
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
        if any(uses_external_data(tensor) for tensor in _all_tensors(model.graph)):
            raise IncompatibleModel(
                "its weights lie in another file; expected one file: onnx.save_model(..., save_as_external_data=False)"
            )
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError) as error:
        first = " ".join(str(error).split())[:200]
        raise IncompatibleModel(f"it is no valid ONNX file: {first}") from error
    foreign = sorted({one.domain for one in model.opset_import} - _STANDARD)
    foreign += sorted({node.domain for node in _all_nodes(model.graph)} - _STANDARD - set(foreign))
    if foreign:
        raise IncompatibleModel(f"it uses operators of {', '.join(foreign)}; expected those of the ONNX standard alone")
    version = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0)
    if version < _OLDEST_OPSET:
        raise IncompatibleModel(f"its opset is {version}; expected {_OLDEST_OPSET} or newer: export it again")
    return model


def wrap_network(
    model: onnx.ModelProto, request: OutputRequest, given: InputRange, input_size: tuple[int, int] | None
) -> WrappedNetwork:
    """Put our scaling and layout before a network and a probability behind it. Raises IncompatibleModel.

    The twin takes (n, height, width, channels) float32 and gives (n, 1) or (n, 2).
    """
    taken = _read_input(model.graph, input_size)
    if given is InputRange.IMAGENET and taken.channels != len(_IMAGENET_MEAN):
        raise IncompatibleModel(f"--input-range imagenet needs 3 channels; the model takes {taken.channels}")
    name, units, activation = _read_output(model.graph, request)
    plan = plan_output(units, activation, request, was_chosen_by_name=len(model.graph.output) > 1)
    wrapped = onnx.ModelProto()
    wrapped.CopyFrom(model)
    _add_head(wrapped.graph, taken, given)
    _add_tail(wrapped.graph, name, units, plan)
    opset = next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
    notes = (
        f"an ONNX file of opset {opset}, channels {'first' if taken.channels_first else 'last'}: it scores as it is, "
        "and cannot be trained further here",
    )
    preprocessing = Preprocessing(taken.height, taken.width, taken.channels, _SCALINGS[given])
    return WrappedNetwork(wrapped, preprocessing, plan.meaning, notes)


def uses_external_data(tensor: TensorProto) -> bool:
    """Whether a tensor's numbers lie in another file."""
    return tensor.data_location == TensorProto.EXTERNAL or bool(tensor.external_data)


def _read_input(graph: onnx.GraphProto, input_size: tuple[int, int] | None) -> _Input:
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [each for each in graph.input if each.name not in weights]
    shapes = [[side.dim_value or None for side in each.type.tensor_type.shape.dim] for each in inputs]
    if len(inputs) != 1 or len(shapes[0]) != 4 or not {1, 3} & {shapes[0][1], shapes[0][3]}:
        raise IncompatibleModel(
            f"its input is {shapes or 'unknown'}; expected (n, 1 or 3, height, width) or (n, height, width, 1 or 3)"
        )
    if inputs[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        kind = TensorProto.DataType.Name(inputs[0].type.tensor_type.elem_type).lower()
        raise IncompatibleModel(f"its input is of {kind}; expected float (32 bits): export it in float32")
    channels_first = shapes[0][1] in (1, 3)
    channels = shapes[0][1] if channels_first else shapes[0][3]
    own = shapes[0][2:4] if channels_first else shapes[0][1:3]
    size = input_size or (own[0], own[1])
    if None in size:
        raise IncompatibleModel("it takes any size; give the input size that it was trained with: --input-size PIXELS")
    if any(side is not None and side != want for side, want in zip(own, size, strict=True)):
        raise IncompatibleModel(f"its input size is {own[0]} x {own[1]}; received {size[0]} x {size[1]}")
    return _Input(inputs[0].name, int(size[0] or 0), int(size[1] or 0), int(channels or 0), channels_first)


def _read_output(graph: onnx.GraphProto, request: OutputRequest) -> tuple[str, int, str | None]:
    """The name, the number of units and the activation of the one output, or of the one that is named."""
    outputs = {each.name: each for each in graph.output}
    name = request.positive_output if len(outputs) > 1 else next(iter(outputs), "")
    if name not in outputs:
        raise IncompatibleModel(
            f"it has {len(outputs)} outputs ({', '.join(outputs)}); say which is P(covid): --positive-output NAME"
        )
    sides = [side.dim_value for side in outputs[name].type.tensor_type.shape.dim][1:]
    units = int(np.prod([side for side in sides if side != 1])) if sides else 1
    if 0 in sides:
        raise IncompatibleModel(f"its output {name} does not say how many numbers it has: export it with fixed shapes")
    made_by = {output: node for node in graph.node for output in node.output}
    node = made_by.get(name)
    while node is not None and node.op_type in _PASS_ON:
        node = made_by.get(node.input[0])
    kind = "" if node is None else node.op_type
    return name, units, kind.lower() if kind in ("Sigmoid", "Softmax") else None


def _add_head(graph: onnx.GraphProto, taken: _Input, given: InputRange) -> None:
    """Our input, its numbers brought to what the network was trained on, in its own layout."""
    current, nodes = f"{_OURS}xrays", []
    if given is InputRange.IMAGENET:
        for op, values in (("Sub", _IMAGENET_MEAN), ("Div", _IMAGENET_SD)):
            constant = numpy_helper.from_array(np.array(values, dtype=np.float32), f"{_OURS}{op.lower()}_by")
            graph.initializer.append(constant)
            nodes.append(helper.make_node(op, [current, constant.name], [f"{_OURS}{op.lower()}"]))
            current = f"{_OURS}{op.lower()}"
    kind, axes = ("Transpose", {"perm": [0, 3, 1, 2]}) if taken.channels_first else ("Identity", {})
    nodes.append(helper.make_node(kind, [current], [taken.name], **axes))
    weights = [each for each in graph.input if each.name != taken.name]
    shape = ["n", taken.height, taken.width, taken.channels]
    del graph.input[:]
    graph.input.extend([helper.make_tensor_value_info(f"{_OURS}xrays", TensorProto.FLOAT, shape), *weights])
    own = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *own])
    del graph.value_info[:]  # inner shapes that were noted for another batch


def _add_tail(graph: onnx.GraphProto, name: str, units: int, plan: OutputPlan) -> None:
    """(n, units), the activation that is still to come, and the one column that is P(covid)."""
    shape = numpy_helper.from_array(np.array([-1, units], dtype=np.int64), f"{_OURS}shape")
    graph.initializer.append(shape)
    graph.node.append(helper.make_node("Reshape", [name, shape.name], [f"{_OURS}flat"]))
    current = f"{_OURS}flat"
    if plan.activation is not None:
        kind = plan.activation.capitalize()
        axis = {"axis": 1} if kind == "Softmax" else {}
        graph.node.append(helper.make_node(kind, [current], [f"{_OURS}activated"], **axis))
        current = f"{_OURS}activated"
    if plan.column is not None:
        column = numpy_helper.from_array(np.array([plan.column], dtype=np.int64), f"{_OURS}column")
        graph.initializer.append(column)
        graph.node.append(helper.make_node("Gather", [current, column.name], [f"{_OURS}chosen"], axis=1))
        current = f"{_OURS}chosen"
    width = 1 if plan.column is not None else units
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(current, TensorProto.FLOAT, ["n", width]))


def _all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _all_nodes(inner)


def _all_tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for inner in (attribute.g, *attribute.graphs):
                yield from _all_tensors(inner)
