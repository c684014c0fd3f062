"""Kinds of model files that teams send: Keras with augmentation, half precision, fixed batches, and ONNX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.xray_core.networks.test_foreign_model import draw_pixels
from xray_core.errors import IncompatibleModel, RefusedInput
from xray_core.imaging.records import Scaling
from xray_core.models.onnx_classifier import OnnxClassifier
from xray_core.networks.foreign.model import ForeignModel, import_network
from xray_core.networks.foreign.output import OutputRequest
from xray_core.networks.quiet_keras import keras
from xray_core.networks.records import InputRange

pytestmark = pytest.mark.keras

layers = keras.layers
SIDE = 24
COVID = OutputRequest("covid")


def take_in(folder: Path, source: Path, request: OutputRequest = COVID, **given: Any) -> ForeignModel:
    folder.mkdir()
    return import_network(source, folder, output=request, pixels=draw_pixels(), **given)


def score(folder: Path, model: ForeignModel) -> NDArray[np.float32]:
    twin = OnnxClassifier(folder / "model.onnx", preprocessing=model.preprocessing, output=model.output)
    return twin.predict(model.grey)


def brightness(first: Callable[[Any], Any], *, batch: int | None = None) -> keras.Model:
    """P(covid) grows with the mean grey level: a wrong scale shows at once."""
    given = keras.Input((SIDE, SIDE, 3), batch_size=batch)
    mean = layers.Conv2D(1, 1, use_bias=False, kernel_initializer=keras.initializers.Constant(1 / 3))(first(given))
    last = layers.Dense(1)
    model = keras.Model(
        given, layers.Activation("sigmoid", dtype="float32")(last(layers.GlobalAveragePooling2D()(mean)))
    )
    last.set_weights([np.array([[20.0]]), np.array([-10.0])])
    return model


def expected_brightness(grey: NDArray[np.uint8]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = 1 / (1 + np.exp(10 - 20 * grey.astype(np.float64).mean(axis=(1, 2)) / 255))
    return result


def augment(given: Any) -> Any:
    steps = layers.RandomFlip("horizontal"), layers.RandomRotation(0.05), layers.RandomZoom(0.1), layers.Dropout(0.2)
    for step in steps:
        given = step(given)
    return layers.Rescaling(1 / 255)(given)


def subtract_constants(given: Any) -> Any:
    """As `preprocess_input` does it: constants that an export would make inputs of."""
    return (given - np.array([10.0, 20.0, 30.0], dtype=np.float32)) / 255.0 + np.array(
        [10 / 255, 20 / 255, 30 / 255], dtype=np.float32
    )


KINDS: dict[str, tuple[Callable[[], keras.Model], str]] = {
    "constants": (lambda: brightness(subtract_constants), "it takes grey levels 0..255"),
    "fixed batch": (lambda: brightness(layers.Rescaling(1 / 255), batch=32), "its fixed batch of 32 was opened"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_keras_file_is_imported_with_its_own_scores(tmp_path: Path, kind: str) -> None:
    make, note = KINDS[kind]
    make().save(tmp_path / "their.keras")

    imported = take_in(tmp_path / "new", tmp_path / "their.keras")

    assert imported.preprocessing.scaling is Scaling.NONE
    np.testing.assert_allclose(score(tmp_path / "new", imported), expected_brightness(imported.grey), atol=1e-5)
    assert any(each.startswith(note) for each in imported.notes), imported.notes


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_computed_in_full_and_compared_at_its_own_tolerance(tmp_path: Path, policy: str) -> None:
    keras.mixed_precision.set_global_policy(policy)
    try:
        brightness(layers.Rescaling(1 / 255)).save(tmp_path / "their.keras")
    finally:
        keras.mixed_precision.set_global_policy("float32")

    imported = take_in(tmp_path / "new", tmp_path / "their.keras")

    np.testing.assert_allclose(score(tmp_path / "new", imported), expected_brightness(imported.grey), atol=1e-5)
    assert f"computes in float32 here; it was trained in {policy}" in imported.notes


def test_augmentation_is_left_out_and_the_report_shows_the_scores_of_the_probes_scaled_both_ways(
    tmp_path: Path,
) -> None:
    brightness(augment).save(tmp_path / "their.keras")

    imported = take_in(tmp_path / "new", tmp_path / "their.keras")

    expected = expected_brightness(imported.grey)
    assert imported.preprocessing.scaling is Scaling.NONE
    np.testing.assert_allclose(score(tmp_path / "new", imported), expected, atol=1e-5)
    assert any(
        each.startswith("left out for scoring, for it acts in training alone: Dropout") for each in imported.notes
    )
    dark = 1 / (1 + np.exp(10 - 20 * imported.grey.mean(axis=(1, 2)) / 255**2))
    assert (
        f"P(covid) of 4 synthetic probe films: {expected.min():.3f} to {expected.max():.3f} when given "
        f"grey levels 0..255; {dark.min():.3f} to {dark.max():.3f} when given 0..1"
    ) in imported.notes
    assert not any("nearly the same score" in note for note in imported.notes)


@pytest.mark.slow
def test_a_model_whose_scores_are_all_alike_is_named_so(tmp_path: Path) -> None:
    brightness(layers.Rescaling(1 / 255)).save(tmp_path / "their.keras")

    imported = take_in(tmp_path / "new", tmp_path / "their.keras", scaling=Scaling.UNIT)

    assert imported.notes[-1].startswith("all 4 probe films got nearly the same score")


def onnx_file(path: Path, *, logits: bool = False, units: int = 1, channels_first: bool = True, **wrong: Any) -> Path:
    """A network as PyTorch exports it: mean of all channels, one linear layer, a sigmoid or a softmax."""
    shape: list[int | str] = ["n", 3, SIDE, SIDE] if channels_first else ["n", SIDE, SIDE, 3]
    weights = [
        numpy_helper.from_array(np.arange(1, units + 1, dtype=np.float32).reshape(1, units), "w"),
        numpy_helper.from_array(np.zeros(units, dtype=np.float32), "b"),
        numpy_helper.from_array(np.array([-1, 1], dtype=np.int64), "flat"),
    ]
    kind = "Sigmoid" if units == 1 else "Softmax"
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["m", "flat"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "b"], ["y" if logits else "g"]),
        *([] if logits else [helper.make_node(kind, ["g"], ["y"])]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", wrong.get("kind", TensorProto.FLOAT), wrong.get("shape", shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", units])],
        weights,
    )
    opsets = [helper.make_opsetid("", wrong.get("opset", 13)), *wrong.get("opsets", [])]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


def feed(grey: NDArray[np.uint8], given: InputRange, *, channels_first: bool = True) -> NDArray[np.float32]:
    """What the file itself wants, computed here."""
    numbers = np.repeat(grey[..., None].astype(np.float64), 3, axis=-1)
    if given is InputRange.UNIT:
        numbers = numbers / 255
    elif given is InputRange.MINUS_ONE_TO_ONE:
        numbers = numbers / 127.5 - 1
    elif given is InputRange.IMAGENET:
        numbers = (numbers / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return (numbers.transpose(0, 3, 1, 2) if channels_first else numbers).astype(np.float32)


@pytest.mark.parametrize("channels_first", [True, False])
@pytest.mark.parametrize("given", list(InputRange))
def test_an_onnx_file_scores_as_it_does_at_home(tmp_path: Path, given: InputRange, channels_first: bool) -> None:
    path = onnx_file(tmp_path / "net.onnx", channels_first=channels_first)

    imported = take_in(tmp_path / "new", path, input_range=given)

    at_home = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = at_home.run(None, {"x": feed(imported.grey, given, channels_first=channels_first)})[0][:, 0]
    np.testing.assert_allclose(score(tmp_path / "new", imported), expected, atol=1e-5)
    assert (tmp_path / "new" / "source.onnx").read_bytes() == path.read_bytes()
    assert "cannot be trained further here" in imported.notes[0]


def test_an_onnx_file_of_three_logits_gives_the_named_probability(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "net.onnx", logits=True, units=3)
    request = OutputRequest("covid", ("normal", "pneumonia", "covid"), are_logits=True)

    imported = take_in(tmp_path / "new", path, request, input_range=InputRange.UNIT)

    means = imported.grey.astype(np.float64).mean(axis=(1, 2)) / 255
    logits = means[:, None] * [1, 2, 3]
    expected = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))[:, 2]
    np.testing.assert_allclose(score(tmp_path / "new", imported), expected, atol=1e-5)


def external(path: Path) -> Path:
    onnx_file(path)
    model = onnx.load(path)
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


BAD_ONNX: dict[str, tuple[Callable[[Path], Path], str]] = {
    "weights elsewhere": (external, "its weights lie in another file"),
    "no onnx": (lambda path: (path.write_bytes(b"\x00" * 400), path)[1], "no valid ONNX file|its input is"),
    "cut": (lambda path: (path.write_bytes(onnx_file(path).read_bytes()[:-90]), path)[1], "no valid ONNX file"),
    "own operators": (
        lambda path: onnx_file(path, opsets=[helper.make_opsetid("com.evil", 1)]),
        "uses operators of com.evil",
    ),
    "half precision": (lambda path: onnx_file(path, kind=TensorProto.FLOAT16), "no valid ONNX|expected float"),
    "no picture": (lambda path: onnx_file(path, shape=["n", 8, SIDE, SIDE]), r"expected \(n, 1 or 3, height, width\)"),
    "old opset": (lambda path: onnx_file(path, opset=6), "opset is 6|no valid ONNX"),
    "open size": (lambda path: onnx_file(path, shape=["n", 3, "h", "w"]), "--input-size PIXELS"),
}


@pytest.mark.parametrize("kind", BAD_ONNX)
def test_a_bad_onnx_file_is_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    make, message = BAD_ONNX[kind]
    path = make(tmp_path / "bad.onnx")

    with pytest.raises(IncompatibleModel, match=rf"^bad\.onnx: .*({message})") as refusal:
        take_in(tmp_path / "new", path, input_range=InputRange.UNIT)

    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "new" / "model.onnx").exists()


def test_an_onnx_file_without_its_range_is_asked_for_it(tmp_path: Path) -> None:
    with pytest.raises(RefusedInput, match=r"--input-range, one of 0\.\.1, -1\.\.1, 0\.\.255, imagenet"):
        take_in(tmp_path / "new", onnx_file(tmp_path / "net.onnx"))
