"""The words and frozen values of networks and their fitting."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Architecture(StrEnum):
    """The networks that can be trained here. An imported model's architecture is the word `imported`."""

    SEED_CNN = "seed_cnn"
    VGG16 = "vgg16"
    RESNET50 = "resnet50"
    XCEPTION = "xception"
    EFFICIENTNET_LITE0 = "efficientnet_lite0"

    @property
    def has_base(self) -> bool:
        """Whether it is a large network's base with one layer of our own upon it."""
        return self is not Architecture.SEED_CNN


class Augmentation(StrEnum):
    """How far training X-rays are changed at random before the network sees them."""

    TUTORIAL = "tutorial"
    STRONG = "strong"


@dataclass(frozen=True, slots=True)
class AugmentationRanges:
    """What is drawn anew for each training X-ray, evenly and each by itself; what is 0, or 1 to 1, is not drawn.

    `shear` and `rotation` are degrees either way, `zoom` a factor of 1 - zoom to 1 + zoom for each axis by itself;
    `scale` is the share of both sides that is shown (below 1 it is a crop), and `shift` how far the middle of that may
    lie from the film's, as a share of its sides. Of grey levels 0..1, `gamma` is the power they are raised to (drawn on
    a log scale), `contrast` stretches them about 0.5, `brightness` is added, either way. Up to `inverted_regions`
    rectangles are inverted, whose sides are the share `inverted_side` of the film's.
    """

    shear: float = 0.2
    zoom: float = 0.2
    horizontal_flip: bool = True
    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    gamma: tuple[float, float] = (1.0, 1.0)
    contrast: tuple[float, float] = (1.0, 1.0)
    brightness: float = 0.0
    inverted_regions: int = 0
    inverted_side: tuple[float, float] = (0.05, 0.2)


RANGES: Final = {
    Augmentation.TUTORIAL: AugmentationRanges(),
    Augmentation.STRONG: AugmentationRanges(
        shear=8.0,
        zoom=0.1,
        rotation=10.0,
        scale=(0.6, 1.15),
        shift=0.15,
        gamma=(0.5, 2.0),
        contrast=(0.6, 1.4),
        brightness=0.15,
        inverted_regions=2,
    ),
}


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


# Of each class, for a last layer at once: to leave some out for judging, and some of the rest to choose the penalty.
FEWEST_PATIENTS: Final = 4


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
