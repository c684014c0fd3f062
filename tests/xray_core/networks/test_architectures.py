"""The networks: their layers, their inputs, and where their weights may come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xray_core.errors import RefusedInput
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.networks.architectures import build_network, default_preprocessing
from xray_core.networks.quiet_keras import keras
from xray_core.networks.records import Architecture

pytestmark = pytest.mark.keras

LARGE = (Architecture.VGG16, Architecture.RESNET50, Architecture.XCEPTION)
SMALL_SIZES = {Architecture.VGG16: 32, Architecture.RESNET50: 32, Architecture.XCEPTION: 71}


def test_seed_cnn_has_the_tutorials_layers_and_parameters() -> None:
    model = build_network(Architecture.SEED_CNN, seed=1)

    lines = [(type(layer).__name__, tuple(layer.output.shape[1:]), layer.count_params()) for layer in model.layers]

    assert tuple(model.input_shape) == (None, 150, 150, 3)
    assert lines == [
        ("Conv2D", (148, 148, 32), 896),
        ("Activation", (148, 148, 32), 0),
        ("MaxPooling2D", (74, 74, 32), 0),
        ("Conv2D", (72, 72, 32), 9_248),
        ("Activation", (72, 72, 32), 0),
        ("MaxPooling2D", (36, 36, 32), 0),
        ("Conv2D", (34, 34, 64), 18_496),
        ("Activation", (34, 34, 64), 0),
        ("MaxPooling2D", (17, 17, 64), 0),
        ("Flatten", (18_496,), 0),
        ("Dense", (64,), 1_183_808),
        ("Activation", (64,), 0),
        ("Dropout", (64,), 0),
        ("Dense", (1,), 65),
        ("Activation", (1,), 0),
    ]
    assert model.count_params() == 1_212_513
    assert [layer.activation.__name__ for layer in model.layers if type(layer).__name__ == "Activation"] == [
        *["relu"] * 4,
        "sigmoid",
    ]
    assert model.layers[12].rate == 0.5


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        (Architecture.SEED_CNN, Preprocessing(150, 150, 3, Scaling.UNIT)),
        (Architecture.VGG16, Preprocessing(224, 224, 3, Scaling.CAFFE)),
        (Architecture.RESNET50, Preprocessing(224, 224, 3, Scaling.CAFFE)),
        (Architecture.XCEPTION, Preprocessing(299, 299, 3, Scaling.MINUS_ONE_TO_ONE)),
    ],
)
def test_each_network_has_its_own_size_and_scaling(architecture: Architecture, expected: Preprocessing) -> None:
    assert default_preprocessing(architecture) == expected


@pytest.mark.parametrize("architecture", LARGE)
def test_a_large_network_learns_only_its_last_layer_unless_asked(architecture: Architecture) -> None:
    size = (SMALL_SIZES[architecture],) * 2

    frozen = build_network(architecture, input_size=size, seed=1)
    free = build_network(architecture, input_size=size, trainable_base=True, seed=1)

    assert [variable.path for variable in frozen.trainable_variables] == ["logit/kernel", "logit/bias"]
    assert len(free.trainable_variables) > 20
    assert tuple(frozen.output_shape) == (None, 1)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    def first_kernel(seed: int) -> bytes:
        return build_network(Architecture.SEED_CNN, input_size=(30, 30), seed=seed).get_weights()[0].tobytes()

    assert first_kernel(1) == first_kernel(1)
    assert first_kernel(1) != first_kernel(2)


def test_local_weights_are_loaded_into_the_base(tmp_path: Path) -> None:
    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    base.save_weights(tmp_path / "vgg16.weights.h5")

    model = build_network(Architecture.VGG16, weights=tmp_path / "vgg16.weights.h5", input_size=(32, 32), seed=1)

    np.testing.assert_array_equal(
        model.get_layer("block5_conv3").kernel.numpy(), base.get_layer("block5_conv3").kernel.numpy()
    )


@pytest.mark.parametrize("architecture", Architecture)
@pytest.mark.parametrize("name", ["imagenet", "missing.weights.h5", "renamed.h5"])
def test_weights_that_are_no_local_file_are_refused_without_a_download(
    tmp_path: Path, architecture: Architecture, name: str
) -> None:
    (tmp_path / "renamed.h5").write_bytes(b"x")

    with pytest.raises(RefusedInput, match=r"nothing is ever downloaded\. Give a local FILE\.weights\.h5"):
        build_network(architecture, weights=tmp_path / name, seed=1)


def test_another_networks_weights_are_refused_in_one_sentence(tmp_path: Path) -> None:
    build_network(Architecture.SEED_CNN, input_size=(32, 32), seed=1).save_weights(tmp_path / "small.weights.h5")

    with pytest.raises(RefusedInput, match=r"these are not weights of vgg16"):
        build_network(Architecture.VGG16, weights=tmp_path / "small.weights.h5", input_size=(32, 32), seed=1)


def test_a_damaged_weights_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "damaged.weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))

    with pytest.raises(RefusedInput, match=r"these are not weights of seed_cnn"):
        build_network(Architecture.SEED_CNN, weights=tmp_path / "damaged.weights.h5", input_size=(30, 30), seed=1)
