"""A Keras model as a classifier: what it loads, what it refuses, what it reads from a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xray_core.errors import IncompatibleModel
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.models.records import OutputMeaning
from xray_core.networks.architectures import build_network, default_preprocessing
from xray_core.networks.keras_classifier import (
    KerasClassifier,
    export_checked,
    inspect_model,
    layer_table,
    load_untrusted_keras,
    save_keras,
)
from xray_core.networks.quiet_keras import keras
from xray_core.networks.records import Architecture
from xray_core.records import Label

pytestmark = pytest.mark.keras

PREPROCESSING = default_preprocessing(Architecture.SEED_CNN, 30)
XRAYS = np.random.default_rng(0).integers(0, 256, (40, 30, 30), dtype=np.uint8)
layers = keras.layers


def small_network(seed: int = 1) -> keras.Model:
    return build_network(Architecture.SEED_CNN, input_size=(30, 30), seed=seed)


def end_with(*last: keras.layers.Layer, shape: tuple[int | None, ...] = (30, 30, 3)) -> keras.Model:
    return keras.Sequential([keras.Input(shape), layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), *last])


def test_scores_are_those_of_keras_predict_whatever_the_batches() -> None:
    model = small_network()
    model.compile(jit_compile=False)

    scores = KerasClassifier(model, PREPROCESSING, OutputMeaning.SIGMOID_COVID).predict(XRAYS)

    expected = model.predict(np.repeat(XRAYS[..., None], 3, -1).astype(np.float32) / 255, verbose=0)[:, 0]
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    assert scores.dtype == np.float32


def test_a_sigmoid_that_means_normal_is_turned_round() -> None:
    model = small_network()

    covid = KerasClassifier(model, PREPROCESSING, OutputMeaning.SIGMOID_COVID).predict(XRAYS)
    normal = KerasClassifier(model, PREPROCESSING, OutputMeaning.SIGMOID_NORMAL).predict(XRAYS)

    np.testing.assert_allclose(covid + normal, 1, atol=1e-6)


def test_a_saved_model_comes_back_with_the_same_scores(tmp_path: Path) -> None:
    model = small_network()
    save_keras(model, tmp_path / "model.keras")

    loaded = load_untrusted_keras(tmp_path / "model.keras")

    def scores(network: keras.Model) -> object:
        return KerasClassifier(network, PREPROCESSING, OutputMeaning.SIGMOID_COVID).predict(XRAYS)

    np.testing.assert_array_equal(scores(loaded), scores(model))
    assert not loaded.compiled


def test_an_export_that_differs_is_refused_and_removed(tmp_path: Path) -> None:
    model = small_network()
    classifier = KerasClassifier(model, PREPROCESSING, OutputMeaning.SIGMOID_COVID)
    assert export_checked(classifier, tmp_path / "good.onnx", XRAYS) <= 1e-5
    classifier.predict(XRAYS[:1])
    other = KerasClassifier(small_network(seed=2), PREPROCESSING, OutputMeaning.SIGMOID_COVID)
    other.model = model  # exports the one network, scores with the other

    with pytest.raises(IncompatibleModel, match="the ONNX twin differs from the Keras model by"):
        export_checked(other, tmp_path / "bad.onnx", XRAYS)

    assert (tmp_path / "good.onnx").exists()
    assert not (tmp_path / "bad.onnx").exists()


def test_the_layer_table_adds_up() -> None:
    table = layer_table(build_network(Architecture.SEED_CNN, seed=1))

    assert table[0][1:] == ("Conv2D", "148 × 148 × 32", 896)
    assert sum(line[3] for line in table) == 1_212_513


@pytest.mark.parametrize(
    ("last", "positive_output", "expected"),
    [
        ([layers.Dense(1, activation="sigmoid")], Label.COVID, OutputMeaning.SIGMOID_COVID),
        ([layers.Dense(1), layers.Activation("sigmoid")], Label.NORMAL, OutputMeaning.SIGMOID_NORMAL),
        ([layers.Dense(2, activation="softmax")], Label.COVID, OutputMeaning.SOFTMAX_NORMAL_FIRST),
        ([layers.Dense(2), layers.Softmax()], Label.NORMAL, OutputMeaning.SOFTMAX_COVID_FIRST),
    ],
)
def test_the_output_is_read_from_the_model(
    last: list[keras.layers.Layer], positive_output: Label, expected: OutputMeaning
) -> None:
    _, output, _ = inspect_model(end_with(*last), positive_output=positive_output)

    assert output is expected


@pytest.mark.parametrize(
    "last",
    [
        [layers.Dense(1)],
        [layers.Dense(1, activation="softmax")],
        [layers.Dense(2, activation="sigmoid")],
        [layers.Dense(3, activation="softmax")],
    ],
)
def test_an_output_that_is_no_probability_of_two_classes_is_refused(last: list[keras.layers.Layer]) -> None:
    with pytest.raises(IncompatibleModel, match=r"expected one sigmoid output \(n, 1\) or two softmax outputs"):
        inspect_model(end_with(*last), positive_output=Label.COVID)


def sigmoid() -> keras.layers.Layer:
    return layers.Dense(1, activation="sigmoid")


def test_size_and_channels_are_read_from_the_model_and_scaling_is_said_to_be_assumed() -> None:
    preprocessing, _, notes = inspect_model(end_with(sigmoid(), shape=(48, 64, 1)), positive_output=Label.COVID)

    assert preprocessing == Preprocessing(height=48, width=64, channels=1, scaling=Scaling.UNIT)
    assert notes == ("it does not say how it wants its input scaled; grey levels / 255 were assumed",)


def test_a_model_that_scales_by_itself_gets_grey_levels_as_they_are() -> None:
    inner = keras.Sequential([keras.Input((30, 30, 3)), layers.Rescaling(1 / 255), layers.Conv2D(2, 3)])
    model = keras.Sequential([keras.Input((30, 30, 3)), inner, layers.GlobalMaxPooling2D(), sigmoid()])

    preprocessing, _, _ = inspect_model(model, positive_output=Label.COVID)

    assert preprocessing.scaling is Scaling.NONE


def test_a_given_scaling_is_taken() -> None:
    preprocessing, _, notes = inspect_model(end_with(sigmoid()), positive_output=Label.COVID, scaling=Scaling.CAFFE)

    assert preprocessing.scaling is Scaling.CAFFE
    assert notes == ()


def test_an_input_size_is_asked_for_only_where_the_model_has_none() -> None:
    open_size = end_with(sigmoid(), shape=(None, None, 3))

    with pytest.raises(IncompatibleModel, match="give the input size that it was trained with"):
        inspect_model(open_size, positive_output=Label.COVID)
    given, _, _ = inspect_model(open_size, positive_output=Label.COVID, input_size=(40, 50))
    assert (given.height, given.width) == (40, 50)
    with pytest.raises(IncompatibleModel, match="its input height is 30; received 40"):
        inspect_model(end_with(sigmoid()), positive_output=Label.COVID, input_size=(40, 50))


@pytest.mark.parametrize("shape", [(30, 30, 4), (30, 30), (10,)])
def test_an_input_that_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    model = keras.Sequential([keras.Input(shape), layers.Flatten(), sigmoid()])

    with pytest.raises(IncompatibleModel, match=r"expected one of \(n, height, width, 1 or 3\)"):
        inspect_model(model, positive_output=Label.COVID)


def test_a_scaling_of_three_channels_is_refused_for_one() -> None:
    with pytest.raises(IncompatibleModel, match="scaling caffe needs 3 channels"):
        inspect_model(end_with(sigmoid(), shape=(30, 30, 1)), positive_output=Label.COVID, scaling=Scaling.CAFFE)
