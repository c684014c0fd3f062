"""A twin that takes grey once says what one that takes it three times says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from xray_core.models.onnx_classifier import OnnxClassifier
from xray_core.models.records import OutputMeaning
from xray_core.networks.architectures import build_network, default_preprocessing
from xray_core.networks.grey_twin import let_take_grey, merge_channels
from xray_core.networks.keras_classifier import KerasClassifier, export_onnx
from xray_core.networks.records import Architecture

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(4)


def test_the_twin_of_the_small_network_takes_grey_and_agrees_with_keras(tmp_path: Path) -> None:
    preprocessing = default_preprocessing(Architecture.SEED_CNN, 48)
    model = build_network(Architecture.SEED_CNN, input_size=(48, 48), seed=3)
    classifier = KerasClassifier(model, preprocessing, OutputMeaning.SIGMOID_COVID)
    greys = RNG.integers(0, 256, (9, 48, 48), dtype=np.uint8)

    export_onnx(classifier, tmp_path / "model.onnx")

    twin = OnnxClassifier(tmp_path / "model.onnx", preprocessing=preprocessing, output=OutputMeaning.SIGMOID_COVID)
    assert read_shape(tmp_path / "model.onnx")[3] == 1
    np.testing.assert_allclose(twin.predict(greys), classifier.predict(greys), atol=1e-6)


def test_merged_channels_give_the_numbers_of_three_equal_ones(tmp_path: Path) -> None:
    model = draw_model()
    grey = RNG.random((2, 8, 8, 1), dtype=np.float32)
    before = run(model, np.repeat(grey, 3, axis=-1))

    assert merge_channels(model)

    np.testing.assert_allclose(run(model, grey), before, atol=1e-5)


@pytest.mark.parametrize("first", ["Mul", "two users", "shared weights", "grouped"])
def test_a_graph_that_begins_otherwise_is_left_alone(first: str, tmp_path: Path) -> None:
    onnx.save(draw_model(first), tmp_path / "model.onnx")
    content = (tmp_path / "model.onnx").read_bytes()

    assert not let_take_grey(tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == content


def draw_model(first: str = "") -> onnx.ModelProto:
    """Transpose, Conv; or one that has something else before, beside or after."""
    channels, groups = (1, 3) if first == "grouped" else (3, 1)
    kernel = numpy_helper.from_array(RNG.random((3, channels, 3, 3), dtype=np.float32), "kernel")
    half = numpy_helper.from_array(np.float32(0.5), "half")
    begin = [helper.make_node("Mul", ["x", "half"], ["y"])] if first == "Mul" else []
    nodes = [
        *begin,
        helper.make_node("Transpose", ["y" if begin else "x"], ["front"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["front", "kernel"], ["out"], group=groups),
    ]
    if first == "two users":
        nodes.append(helper.make_node("Relu", ["front"], ["beside"]))
    if first == "shared weights":
        nodes.append(helper.make_node("Conv", ["out", "kernel"], ["after"]))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8, 8, 3])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [kernel, half],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


def run(model: onnx.ModelProto, given: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": given})[0])


def read_shape(path: Path) -> list[int]:
    return [side.dim_value for side in onnx.load(path).graph.input[0].type.tensor_type.shape.dim]
