"""The words and frozen values of networks and their fitting."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Architecture(StrEnum):
    """The networks that can be trained here. An imported model's architecture is the word `imported`."""

    SEED_CNN = "seed_cnn"
    VGG16 = "vgg16"
    RESNET50 = "resnet50"
    XCEPTION = "xception"


class InputRange(StrEnum):
    """Which numbers an ONNX file from elsewhere was trained on."""

    UNIT = "0..1"
    MINUS_ONE_TO_ONE = "-1..1"
    GREY_LEVELS = "0..255"
    IMAGENET = "imagenet"  # 0..1, then minus the ImageNet means, divided by their standard deviations


class Optimizer(StrEnum):
    """How the weights are moved in training."""

    RMSPROP = "rmsprop"
    ADAM = "adam"
    SGD = "sgd"


@dataclass(frozen=True, slots=True)
class EpochFigures:
    """How a network did in one epoch on one side of the split, unweighted; `error` is 1 - accuracy."""

    loss: float
    accuracy: float
    precision: float
    recall: float
    error: float


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One line of history.csv: `train` was measured while learning (augmented), `held_out` after the epoch."""

    epoch: int
    train: EpochFigures
    held_out: EpochFigures
