"""The last layer: log-odds from before the sigmoid, and a recalibration that becomes part of the network."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from xray_core.errors import IncompatibleModel
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.models.onnx_classifier import OnnxClassifier
from xray_core.models.recalibration import Recalibration
from xray_core.models.records import OutputMeaning
from xray_core.networks.architectures import build_network
from xray_core.networks.keras_classifier import KerasClassifier, export_checked, load_untrusted_keras, save_keras
from xray_core.networks.last_layer import fold_recalibration, predict_log_odds
from xray_core.networks.records import Architecture

pytestmark = pytest.mark.keras

SIZE = 32
TAKES = Preprocessing(height=SIZE, width=SIZE, channels=3, scaling=Scaling.UNIT)
LINE = Recalibration(intercept=0.8, slope=0.6, xrays=40)


@pytest.fixture
def greys() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (40, SIZE, SIZE), dtype=np.uint8)


def make_classifier(output: OutputMeaning, *, end: str, gain: float = 30.0) -> KerasClassifier:
    """A network whose scores differ widely, ending in each of the ways that Keras knows."""
    keras.utils.set_random_seed(3)
    units = 1 if "sigmoid" in output else 2
    activation = "sigmoid" if units == 1 else "softmax"
    layers = [keras.Input((SIZE, SIZE, 3)), keras.layers.Conv2D(4, 5, strides=4), keras.layers.Flatten()]
    if end == "within":
        layers.append(keras.layers.Dense(units, activation=activation))
    else:
        layers.append(keras.layers.Dense(units))
        layers.append(keras.layers.Softmax() if end == "softmax layer" else keras.layers.Activation(activation))
    model = keras.Sequential(layers)
    kernel, bias = model.layers[2].get_weights()
    model.layers[2].set_weights([kernel * gain, bias + 0.3])
    return KerasClassifier(model, TAKES, output)


ENDS = [
    (OutputMeaning.SIGMOID_COVID, "within"),
    (OutputMeaning.SIGMOID_COVID, "behind"),
    (OutputMeaning.SIGMOID_NORMAL, "within"),
    (OutputMeaning.SOFTMAX_COVID_FIRST, "within"),
    (OutputMeaning.SOFTMAX_NORMAL_FIRST, "behind"),
    (OutputMeaning.SOFTMAX_NORMAL_FIRST, "softmax layer"),
]


@pytest.mark.parametrize(("output", "end"), ENDS)
def test_log_odds_are_those_of_the_networks_probability(
    greys: NDArray[np.uint8], output: OutputMeaning, end: str
) -> None:
    classifier = make_classifier(output, end=end, gain=1.0)

    found = predict_log_odds(classifier, greys)

    assert found == pytest.approx(logit(classifier.predict(greys).astype(np.float64)), abs=1e-4)
    assert np.ptp(found) > 0.1


@pytest.mark.parametrize(("output", "end"), ENDS)
def test_a_folded_network_says_what_the_line_says(greys: NDArray[np.uint8], output: OutputMeaning, end: str) -> None:
    classifier = make_classifier(output, end=end)
    expected = LINE.apply(predict_log_odds(classifier, greys))

    fold_recalibration(classifier, LINE)

    assert classifier.predict(greys) == pytest.approx(expected, abs=1e-6)


def test_where_float32_says_1_the_log_odds_still_tell_xrays_apart(greys: NDArray[np.uint8]) -> None:
    classifier = make_classifier(OutputMeaning.SIGMOID_COVID, end="behind", gain=3000.0)
    saturated = np.isin(classifier.predict(greys), (0, 1))

    log_odds = predict_log_odds(classifier, greys)

    assert saturated.sum() > 20
    assert len(np.unique(log_odds[saturated])) == saturated.sum()
    assert np.abs(log_odds).max() > 100


def test_the_saved_file_the_twin_and_the_probe_are_all_of_the_recalibrated_network(
    greys: NDArray[np.uint8], tmp_path: Path
) -> None:
    model = build_network(Architecture.SEED_CNN, input_size=(SIZE, SIZE), seed=1)
    classifier = KerasClassifier(model, TAKES, OutputMeaning.SIGMOID_COVID)
    before = classifier.predict(greys)
    expected = LINE.apply(predict_log_odds(classifier, greys))

    fold_recalibration(classifier, LINE)
    save_keras(model, tmp_path / "model.keras")
    export_checked(classifier, tmp_path / "model.onnx", greys)

    twin = OnnxClassifier(tmp_path / "model.onnx", preprocessing=TAKES, output=OutputMeaning.SIGMOID_COVID)
    loaded = load_untrusted_keras(tmp_path / "model.keras")
    again = KerasClassifier(loaded, TAKES, OutputMeaning.SIGMOID_COVID)
    assert twin.predict(greys) == pytest.approx(expected, abs=1e-5)
    assert again.predict(greys) == pytest.approx(expected, abs=1e-6)
    assert np.abs(before - expected).max() > 0.05


def test_a_recalibration_changes_no_auroc(greys: NDArray[np.uint8]) -> None:
    classifier = make_classifier(OutputMeaning.SIGMOID_COVID, end="behind", gain=3.0)
    is_covid = np.random.default_rng(1).random(len(greys)) < 0.5
    before = classifier.predict(greys)

    fold_recalibration(classifier, LINE)

    after = classifier.predict(greys)
    assert roc_auc_score(is_covid, after) == roc_auc_score(is_covid, before)
    assert (np.argsort(after) == np.argsort(before)).all()
    assert np.abs(after - before).max() > 0.05


@pytest.mark.parametrize("last", [keras.layers.GlobalAveragePooling2D(), keras.layers.Conv2D(1, 32)])
def test_a_network_with_another_end_is_refused(last: keras.layers.Layer) -> None:
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), last, keras.layers.Activation("sigmoid")])
    classifier = KerasClassifier(model, TAKES, OutputMeaning.SIGMOID_COVID)

    with pytest.raises(IncompatibleModel, match="expected a Dense layer with a bias and a sigmoid"):
        fold_recalibration(classifier, LINE)
