"""Training: what is learned, from what, and what is written about it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from xray_core.errors import IncompatibleModel, InvalidDataset
from xray_core.networks.fitting import Trained, train_network, write_history
from xray_core.networks.keras_classifier import export_checked
from xray_core.networks.options import TrainingOptions
from xray_core.networks.records import Architecture, Augmentation, AugmentationRanges, EpochRecord, Optimizer

pytestmark = pytest.mark.keras

SMALL_SIZES = {
    Architecture.SEED_CNN: 30,
    Architecture.VGG16: 32,
    Architecture.RESNET50: 32,
    Architecture.XCEPTION: 71,
    Architecture.EFFICIENTNET_LITE0: 64,
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
    assert (options.augmented, options.ranges) == (Augmentation.TUTORIAL, AugmentationRanges(0.2, 0.2, True))


def test_every_other_network_is_trained_with_the_strong_augmentation_unless_told_otherwise() -> None:
    options = TrainingOptions(architecture=Architecture.VGG16)

    assert options.augmented is Augmentation.STRONG
    assert TrainingOptions(architecture=Architecture.VGG16, augmentation=Augmentation.TUTORIAL).ranges.scale == (1, 1)
    assert TrainingOptions(augmentation=Augmentation.STRONG, zoom=0.3).ranges.zoom == 0.3


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
    def weights(seed: int, augmentation: Augmentation | None = None) -> bytes:
        trained = train(TrainingOptions(input_size=30, epochs=2, seed=seed, augmentation=augmentation))
        return b"".join(values.tobytes() for values in trained.classifier.model.get_weights())

    assert weights(7) == weights(7)
    assert weights(7) != weights(8)
    assert weights(7, Augmentation.STRONG) == weights(7, Augmentation.STRONG)
    assert weights(7, Augmentation.STRONG) != weights(7)


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


def test_efficientnet_lite0_trains_upon_its_imagenet_weights_and_exports(tmp_path: Path) -> None:
    check_training_and_export(tmp_path, Architecture.EFFICIENTNET_LITE0, Optimizer.ADAM)


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
