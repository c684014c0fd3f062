"""Training: what is learned, from what, and what is written about it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

from xray_core.errors import IncompatibleModel, InvalidDataset
from xray_core.networks.augmentation import augment
from xray_core.networks.fitting import Trained, TrainingOptions, train_network, write_history
from xray_core.networks.keras_classifier import export_checked
from xray_core.networks.records import Architecture, EpochRecord, Optimizer

pytestmark = pytest.mark.keras

SMALL_SIZES = {
    Architecture.SEED_CNN: 30,
    Architecture.VGG16: 32,
    Architecture.RESNET50: 32,
    Architecture.XCEPTION: 71,
}


def draw_xrays(count: int, *, size: int = 30, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Noise in which covid (every other one) has a bright lower half: learnable, and kept by mirroring."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 120, (count, size, size), dtype=np.uint8)
    is_covid = np.arange(count) % 2 == 1
    images[is_covid, size // 2 :] += 100
    return images, is_covid


def learn(
    options: TrainingOptions,
    *sides: NDArray[np.uint8] | NDArray[np.bool_],
    on_epoch: Callable[[EpochRecord], None] = lambda _: None,
) -> Trained:
    return train_network(*sides, preprocessing=options.preprocessing, options=options, on_epoch=on_epoch)


def train(options: TrainingOptions, *, count: int = 20, on_epoch: list[EpochRecord] | None = None) -> Trained:
    size = options.preprocessing.height
    images, is_covid = draw_xrays(count, size=size)
    held_out, held_out_is_covid = draw_xrays(10, size=size, seed=1)
    heard = [] if on_epoch is None else on_epoch
    return learn(options, images, is_covid, held_out, held_out_is_covid, on_epoch=heard.append)


def test_the_defaults_are_the_tutorials() -> None:
    options = TrainingOptions()

    assert (options.architecture, options.optimizer) == (Architecture.SEED_CNN, Optimizer.RMSPROP)
    assert (options.epochs, options.batch_size, options.rate) == (15, 8, 0.001)
    assert (options.shear, options.zoom, options.horizontal_flip) == (0.2, 0.2, True)


def test_the_network_learns_that_covid_is_one() -> None:
    # Whatever the seed: the classes lie 100 grey levels apart, and the loss ends far below that of a guess (0.69).
    heard: list[EpochRecord] = []

    trained = train(TrainingOptions(input_size=30, epochs=8, optimizer=Optimizer.ADAM), count=60, on_epoch=heard)

    assert trained.history == tuple(heard)
    assert [record.epoch for record in heard] == list(range(1, 9))
    assert heard[-1].held_out.accuracy == 1
    assert heard[-1].held_out.error == 0
    assert heard[-1].held_out.loss < heard[0].held_out.loss
    images, is_covid = draw_xrays(6, seed=2)
    covid = trained.classifier.predict(images)
    assert covid[is_covid].min() > covid[~is_covid].max()


def test_the_same_seed_gives_the_same_weights_on_one_processor() -> None:
    def weights(seed: int) -> bytes:
        trained = train(TrainingOptions(input_size=30, epochs=2, seed=seed))
        return b"".join(values.tobytes() for values in trained.classifier.model.get_weights())

    assert weights(7) == weights(7)
    assert weights(7) != weights(8)


def test_the_rarer_class_weighs_as_much_as_the_other_unless_switched_off() -> None:
    options = TrainingOptions(input_size=30, epochs=1)
    images, is_covid = draw_xrays(20)
    keep = np.r_[np.flatnonzero(~is_covid), np.flatnonzero(is_covid)[:5]]

    def class_weights(options: TrainingOptions) -> tuple[float, float]:
        return learn(options, images[keep], is_covid[keep], images, is_covid).class_weights

    assert class_weights(options) == (15 / 20, 15 / 10)
    assert class_weights(TrainingOptions(input_size=30, epochs=1, balance_classes=False)) == (1, 1)


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    options = TrainingOptions(input_size=30, epochs=5, optimizer=Optimizer.SGD, learning_rate=1e30)

    with pytest.raises(IncompatibleModel, match=r"training diverged: .* \(sgd, learning rate 1e\+30\)"):
        train(options)


def test_one_class_alone_cannot_be_trained_on() -> None:
    options = TrainingOptions(input_size=30)
    images, _ = draw_xrays(4)

    with pytest.raises(InvalidDataset, match=r"received 0 covid and 4 normal"):
        learn(options, images, np.zeros(4, bool), images, np.ones(4, bool))


@pytest.mark.parametrize("optimizer", Optimizer)
def test_seed_cnn_trains_and_exports_with_each_optimizer(tmp_path: Path, optimizer: Optimizer) -> None:
    check_training_and_export(tmp_path, Architecture.SEED_CNN, optimizer)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", Optimizer)
@pytest.mark.parametrize("architecture", [each for each in Architecture if each is not Architecture.SEED_CNN])
def test_each_large_network_trains_and_exports_with_each_optimizer(
    tmp_path: Path, architecture: Architecture, optimizer: Optimizer
) -> None:
    check_training_and_export(tmp_path, architecture, optimizer)


def check_training_and_export(tmp_path: Path, architecture: Architecture, optimizer: Optimizer) -> None:
    options = TrainingOptions(
        architecture=architecture, optimizer=optimizer, epochs=1, input_size=SMALL_SIZES[architecture]
    )

    trained = train(options)
    classifier = trained.classifier
    difference = export_checked(classifier, tmp_path / "model.onnx", draw_xrays(9, size=options.input_size or 0)[0])

    assert len(trained.history) == 1
    assert difference <= 1e-5


def test_history_csv_has_a_line_per_epoch_with_both_sides(tmp_path: Path) -> None:
    trained = train(TrainingOptions(input_size=30, epochs=2))

    write_history(tmp_path / "history.csv", trained.history)

    with (tmp_path / "history.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == [
        "epoch",
        *(f"train_{name}" for name in ("loss", "accuracy", "precision", "recall", "error")),
        *(f"held_out_{name}" for name in ("loss", "accuracy", "precision", "recall", "error")),
    ]
    assert [line["epoch"] for line in lines] == ["1", "2"]
    assert float(lines[1]["held_out_recall"]) == pytest.approx(trained.history[1].held_out.recall, abs=1e-6)
    assert float(lines[0]["train_accuracy"]) + float(lines[0]["train_error"]) == pytest.approx(1)


def test_augmentation_is_the_affine_map_of_keras_image_data_generator() -> None:
    random = np.random.default_rng(3)
    noise = random.uniform(0, 2000, (8, 40, 50))
    images = np.stack([scipy.ndimage.gaussian_filter(each, 2) for each in noise]).clip(0, 255).astype(np.uint8)

    moved = augment(images, np.random.default_rng(5), shear=20, zoom=0.2, horizontal_flip=True)

    same_draws = np.random.default_rng(5)
    angles = np.deg2rad(same_draws.uniform(-20, 20, 8))
    zooms = same_draws.uniform(0.8, 1.2, (2, 8)).T
    mirrored = same_draws.random(8) < 0.5
    for image, received, angle, zoom, mirror in zip(images, moved, angles, zooms, mirrored, strict=True):
        expected = transform_as_keras(image, angle, zoom)
        # Half a grey level is rounding; float32 coordinates make the rest.
        assert np.abs(received - (expected[:, ::-1] if mirror else expected)).max() <= 0.51


def transform_as_keras(image: NDArray[np.uint8], angle: float, zoom: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keras's apply_affine_transform: shear after zoom, about the middle, in columns and rows."""
    column_row = np.array([[1, -np.sin(angle)], [0, np.cos(angle)]]) @ np.diag(zoom)
    row_column = column_row[::-1, ::-1]
    centre = (np.array(image.shape) - 1) / 2
    offset = centre - row_column @ centre
    return scipy.ndimage.affine_transform(image.astype(np.float64), row_column, offset, order=1, mode="nearest")


def test_augmentation_mirrors_half_of_the_xrays_and_leaves_their_height_alone() -> None:
    images = np.zeros((200, 20, 20), dtype=np.uint8)
    images[:, :5, :10] = 200

    moved = augment(images, np.random.default_rng(0), shear=0, zoom=0, horizontal_flip=True)

    mirrored = (moved == images[:, :, ::-1]).all(axis=(1, 2))
    assert 70 < mirrored.sum() < 130
    np.testing.assert_array_equal(moved[~mirrored], images[~mirrored])


def test_augmentation_switched_off_changes_nothing() -> None:
    images, _ = draw_xrays(5)

    moved = augment(images, np.random.default_rng(0), shear=0, zoom=0, horizontal_flip=False)

    np.testing.assert_array_equal(moved, images)
