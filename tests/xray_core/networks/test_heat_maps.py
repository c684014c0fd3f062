"""Grad-CAM: maps of the right shape that are hot where the evidence is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from xray_core.errors import IncompatibleModel
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.models.records import OutputMeaning
from xray_core.networks.architectures import build_network
from xray_core.networks.heat_maps import grad_cam
from xray_core.networks.keras_classifier import KerasClassifier, load_untrusted_keras, save_keras
from xray_core.networks.quiet_keras import keras
from xray_core.networks.records import Architecture

pytestmark = pytest.mark.keras

SIZES = {
    Architecture.SEED_CNN: 30,
    Architecture.VGG16: 64,
    Architecture.RESNET50: 64,
    Architecture.XCEPTION: 96,
    Architecture.EFFICIENTNET_LITE0: 64,
}


@pytest.mark.parametrize(
    "architecture",
    [
        *(Architecture.SEED_CNN, Architecture.VGG16, Architecture.EFFICIENTNET_LITE0),
        *(pytest.param(large, marks=pytest.mark.slow) for large in (Architecture.RESNET50, Architecture.XCEPTION)),
    ],
)
def test_every_network_can_be_explained(architecture: Architecture) -> None:
    size = SIZES[architecture]
    model = build_network(architecture, input_size=(size, size), seed=3)
    classifier = KerasClassifier(model, Preprocessing(size, size, 3, Scaling.UNIT), OutputMeaning.SIGMOID_COVID)

    heat = grad_cam(classifier, np.random.default_rng(0).integers(0, 256, (18, size, size), dtype=np.uint8))

    assert heat.shape == (18, size, size)
    assert heat.dtype == np.float32
    assert np.isfinite(heat).all()
    assert heat.max() in {0, 1}
    assert heat.min() >= 0


def brightness_network(*, covid_weight: float, certain: float = 1) -> keras.Model:
    """A network that looks for bright pixels and for nothing else."""
    return keras.Sequential(
        [
            keras.Input((24, 24, 1)),
            keras.layers.Conv2D(1, 1, kernel_initializer="ones", name="bright"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(covid_weight * certain)),
            keras.layers.Activation("sigmoid"),
        ]
    )


def bright_corner() -> NDArray[np.uint8]:
    xrays = np.zeros((1, 24, 24), dtype=np.uint8)
    xrays[:, :8, 16:] = 255
    return xrays


@pytest.mark.parametrize(
    ("output", "covid_weight"), [(OutputMeaning.SIGMOID_COVID, 1.0), (OutputMeaning.SIGMOID_NORMAL, -1.0)]
)
@pytest.mark.parametrize("certain", [1, 10_000])
def test_the_map_is_hot_where_the_evidence_for_covid_is(
    output: OutputMeaning, covid_weight: float, certain: float
) -> None:
    model = brightness_network(covid_weight=covid_weight, certain=certain)
    classifier = KerasClassifier(model, Preprocessing(24, 24, 1, Scaling.UNIT), output)

    heat = grad_cam(classifier, bright_corner())[0]

    assert heat[:8, 16:].min() == 1
    assert heat[:, :16].max() == 0


def test_maps_share_one_scale_so_that_weak_evidence_looks_weak() -> None:
    classifier = KerasClassifier(
        brightness_network(covid_weight=1.0), Preprocessing(24, 24, 1, Scaling.UNIT), OutputMeaning.SIGMOID_COVID
    )
    strong, weak = bright_corner(), bright_corner() // 4

    heat = grad_cam(classifier, np.concatenate([weak, strong]))

    assert heat[1].max() == 1
    assert 0.2 < heat[0].max() < 0.3


def test_the_map_is_empty_where_nothing_speaks_for_covid() -> None:
    classifier = KerasClassifier(
        brightness_network(covid_weight=-1.0), Preprocessing(24, 24, 1, Scaling.UNIT), OutputMeaning.SIGMOID_COVID
    )

    assert grad_cam(classifier, bright_corner()).max() == 0


def test_a_network_within_a_network_can_be_explained() -> None:
    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(64, 64, 3))
    model = keras.Sequential([base, keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")])
    for_covid = np.tile(np.float32([-1, 1]), (4 * 512, 1))  # whatever is seen anywhere speaks for covid
    model.layers[-1].set_weights([for_covid, np.zeros(2, dtype=np.float32)])
    classifier = KerasClassifier(model, Preprocessing(64, 64, 3, Scaling.UNIT), OutputMeaning.SOFTMAX_NORMAL_FIRST)

    heat = grad_cam(classifier, np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8))

    assert heat.shape == (2, 64, 64)
    assert heat.max() == 1


def test_a_network_without_feature_maps_is_refused() -> None:
    layers = keras.layers
    model = keras.Sequential([keras.Input((24, 24, 1)), layers.Flatten(), layers.Dense(1, activation="sigmoid")])
    classifier = KerasClassifier(model, Preprocessing(24, 24, 1, Scaling.UNIT), OutputMeaning.SIGMOID_COVID)

    with pytest.raises(IncompatibleModel, match="no feature maps to explain"):
        grad_cam(classifier, bright_corner())


def test_a_network_that_was_loaded_from_its_file_is_explained_as_before(tmp_path: Path) -> None:
    size = SIZES[Architecture.SEED_CNN]
    preprocessing = Preprocessing(size, size, 3, Scaling.UNIT)
    model = build_network(Architecture.SEED_CNN, input_size=(size, size), seed=3)
    xrays = np.random.default_rng(0).integers(0, 256, (2, size, size), dtype=np.uint8)
    save_keras(model, tmp_path / "model.keras")
    loaded = load_untrusted_keras(tmp_path / "model.keras")

    before = grad_cam(KerasClassifier(model, preprocessing, OutputMeaning.SIGMOID_COVID), xrays)
    after = grad_cam(KerasClassifier(loaded, preprocessing, OutputMeaning.SIGMOID_COVID), xrays)

    assert before.max() == 1
    assert np.allclose(before, after, atol=1e-5)
