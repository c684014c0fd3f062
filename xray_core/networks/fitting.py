"""Training of a network on X-rays that lie in memory, or in a memory map."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xray_core.errors import IncompatibleModel, InvalidDataset
from xray_core.imaging.network_input import scale_pixels
from xray_core.imaging.records import Preprocessing
from xray_core.imaging.remedies import erase_border
from xray_core.models.recalibration import UNCHANGED, Recalibration
from xray_core.models.records import OutputMeaning
from xray_core.networks.architectures import build_network
from xray_core.networks.augmentation import augment
from xray_core.networks.keras_classifier import KerasClassifier, has_finite_weights
from xray_core.networks.learning_pass import LearningPass, plan_pass
from xray_core.networks.options import TrainingOptions
from xray_core.networks.quiet_keras import keras, tf
from xray_core.networks.records import EpochFigures, EpochRecord
from xray_core.networks.weight_steps import plan_weight_steps
from xray_core.processes.grey_rows import GreyRows
from xray_core.records import Split

# X-rays that are augmented and scaled at once: enough to keep the calls few, and memory flat for any dataset.
_XRAYS_PER_CHUNK = 128


@dataclass(frozen=True, slots=True)
class Unseen:
    """What cross-validation says of the films that were learned from, each scored without its patient.

    `log_odds` (n,) are from before the recalibration, `probabilities` (n,) P(covid) after it.
    """

    log_odds: NDArray[np.float64]
    probabilities: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model with its history. `class_weights` are those of normal and covid.

    `recalibration` is what was folded into the model's last layer after the last epoch; until then it changes nothing.
    With it comes `held_out`: P(covid) (n,) that the model then gives the validation side. `unseen` is there where a
    last layer was fitted at once.
    """

    classifier: KerasClassifier
    history: tuple[EpochRecord, ...]
    class_weights: tuple[float, float]
    recalibration: Recalibration = UNCHANGED
    unseen: Unseen | None = None
    held_out: Mapping[Split, NDArray[np.float64]] = field(default_factory=dict)


def train_network(
    images: NDArray[np.uint8] | GreyRows,
    is_covid: NDArray[np.bool_],
    held_out_images: NDArray[np.uint8],
    held_out_is_covid: NDArray[np.bool_],
    *,
    preprocessing: Preprocessing,
    options: TrainingOptions,
    on_epoch: Callable[[EpochRecord], None],
) -> Trained:
    """Train a new network on fitted grey levels (n, height, width) uint8; `on_epoch` hears of every epoch.

    The X-rays are read some at a time, in the order of each epoch, from where they lie.
    Only the training X-rays are augmented; the held-out ones are judged after every epoch and never learned
    from. The same seed gives the same weights on one processor with one set of library versions. Raises InvalidDataset
    without both classes, IncompatibleModel when the loss stops being a number.
    """
    weights = weigh_classes(is_covid, balance=options.balance_classes)
    model = build_network(
        options.architecture,
        weights=options.weights,
        input_size=(preprocessing.height, preprocessing.width),
        trainable_base=options.trainable_base,
        seed=options.seed,
    )
    classifier = KerasClassifier(model, preprocessing, OutputMeaning.SIGMOID_COVID)
    learning = plan_pass(model, options.architecture, preprocessing)
    train_steps = make_train_steps(model, learning, options)
    random = np.random.default_rng(options.seed)
    history: list[EpochRecord] = []
    for epoch in range(1, options.epochs + 1):
        order = random.permutation(len(images))
        seen = _train_epoch(
            train_steps,
            images,
            is_covid,
            order,
            weights=weights,
            preprocessing=learning.preprocessing,
            options=options,
            random=random,
        )
        train = _measure(seen, is_covid[order])
        if not (np.isfinite(train.loss) and has_finite_weights(model)):
            raise IncompatibleModel(
                f"training diverged: the loss or the weights of epoch {epoch} of {options.epochs} are no numbers"
                f" ({options.optimizer.value}, learning rate {options.rate:g}); try a smaller learning rate",
                public=True,
            )
        held_out = _measure(classifier.predict(held_out_images), held_out_is_covid)
        history.append(EpochRecord(epoch=epoch, train=train, held_out=held_out))
        on_epoch(history[-1])
    return Trained(classifier=classifier, history=tuple(history), class_weights=weights)


def write_history(path: Path, history: tuple[EpochRecord, ...]) -> None:
    """Write history.csv: one line per epoch, the training figures first."""
    names = ("loss", "accuracy", "precision", "recall", "error")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["epoch", *(f"train_{name}" for name in names), *(f"held_out_{name}" for name in names)])
        for record in history:
            figures = (*astuple(record.train), *astuple(record.held_out))
            writer.writerow([record.epoch, *(f"{figure:.6f}" for figure in figures)])


def weigh_classes(is_covid: NDArray[np.bool_], *, balance: bool) -> tuple[float, float]:
    """The weights of (normal, covid) that make both classes count the same in all, or 1. Raises InvalidDataset."""
    covid = int(is_covid.sum())
    normal = len(is_covid) - covid
    if not covid or not normal:
        raise InvalidDataset(
            f"training needs X-rays of both classes; received {covid} covid and {normal} normal", public=True
        )
    return (len(is_covid) / (2 * normal), len(is_covid) / (2 * covid)) if balance else (1.0, 1.0)


def make_train_steps(model: keras.Model, learning: LearningPass, options: TrainingOptions) -> Any:
    """A compiled function that learns from several batches in one call.

    `model.fit` costs a quarter more on the small network, and XLA made it slower.
    """
    move = plan_weight_steps(options.optimizer, options.rate, model.trainable_variables)
    variables = [weight.value for weight in model.trainable_variables]
    height, width = learning.preprocessing.height, learning.preprocessing.width

    def train_steps(inputs: Any, targets: Any, weights: Any) -> Any:
        """Batches (steps, batch, …) to the P(covid) that the network gave before it learned from each."""
        steps = tf.shape(inputs)[0]
        seen = tf.TensorArray(tf.float32, size=steps)
        for step in tf.range(steps):
            with tf.GradientTape() as tape:
                probability = learning.run(inputs[step])
                losses = keras.losses.binary_crossentropy(targets[step][:, tf.newaxis], probability)
                loss = tf.reduce_mean(losses * weights[step])
            move(tape.gradient(loss, variables))
            seen = seen.write(step, probability[:, 0])
        return seen.stack()

    numbers = tf.TensorSpec((None, None), tf.float32)
    images = tf.TensorSpec((None, None, height, width, learning.preprocessing.channels), tf.float32)
    return tf.function(train_steps, input_signature=[images, numbers, numbers])


def _train_epoch(
    train_steps: Any,
    images: NDArray[np.uint8] | GreyRows,
    is_covid: NDArray[np.bool_],
    order: NDArray[np.intp],
    *,
    weights: tuple[float, float],
    preprocessing: Preprocessing,
    options: TrainingOptions,
    random: np.random.Generator,
) -> NDArray[np.float32]:
    """Learn once from every X-ray in the order given; the P(covid) that each got on the way."""
    targets = is_covid[order].astype(np.float32)
    weight = np.where(is_covid[order], np.float32(weights[1]), np.float32(weights[0]))
    seen = []
    for chunk in _chunks(len(images), options.batch_size):
        moved = augment(images[order[chunk]], random, options.ranges)
        if options.erase_border:
            moved = erase_border(moved, random)
        steps = max(1, len(moved) // options.batch_size)
        inputs = scale_pixels(moved, preprocessing).reshape((steps, -1, *moved.shape[1:], preprocessing.channels))
        outputs = train_steps(inputs, targets[chunk].reshape(steps, -1), weight[chunk].reshape(steps, -1))
        seen.append(outputs.numpy().ravel())
    return np.concatenate(seen)


def _chunks(count: int, batch_size: int) -> Iterator[slice]:
    """Slices of whole batches, several batches each, then the last and smaller batch by itself."""
    whole = count - count % batch_size
    size = max(1, _XRAYS_PER_CHUNK // batch_size) * batch_size
    for start in range(0, whole, size):
        yield slice(start, min(start + size, whole))
    if whole < count:
        yield slice(whole, count)


def _measure(probability: NDArray[np.float32], is_covid: NDArray[np.bool_]) -> EpochFigures:
    """Binary cross-entropy and, at P(covid) >= 0.5, accuracy, precision, recall and error, unweighted.

    Precision and recall are 0 where nothing was called covid, as Keras has it.
    """
    clipped = np.clip(probability.astype(np.float64), 1e-7, 1 - 1e-7)
    called = probability >= 0.5
    right = int((called & is_covid).sum())
    accuracy = float((called == is_covid).mean())
    return EpochFigures(
        loss=float(-np.log(np.where(is_covid, clipped, 1 - clipped)).mean()),
        accuracy=accuracy,
        precision=right / max(1, int(called.sum())),
        recall=right / max(1, int(is_covid.sum())),
        error=1 - accuracy,
    )
