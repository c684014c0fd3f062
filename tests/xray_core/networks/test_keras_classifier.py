"""A Keras model as a classifier: what it loads, what it refuses, what it reads from a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xray_core.errors import IncompatibleModel
from xray_core.models.records import OutputMeaning
from xray_core.networks.architectures import build_network, default_preprocessing
from xray_core.networks.keras_classifier import (
    KerasClassifier,
    export_checked,
    layer_table,
    load_untrusted_keras,
    save_keras,
)
from xray_core.networks.quiet_keras import keras
from xray_core.networks.records import Architecture

pytestmark = pytest.mark.keras

PREPROCESSING = default_preprocessing(Architecture.SEED_CNN, 30)
XRAYS = np.random.default_rng(0).integers(0, 256, (40, 30, 30), dtype=np.uint8)
layers = keras.layers


def small_network(seed: int = 1) -> keras.Model:
    return build_network(Architecture.SEED_CNN, input_size=(30, 30), seed=seed)


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
