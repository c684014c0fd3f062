"""How a network is trained: what a person may choose, and what the rest then is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from xray_core.imaging.records import Preprocessing, Remedy
from xray_core.networks.architectures import default_preprocessing
from xray_core.networks.records import RANGES, Architecture, Augmentation, AugmentationRanges, Optimizer

# What Keras itself takes when no rate is given.
_DEFAULT_RATES: Final = {Optimizer.RMSPROP: 0.001, Optimizer.ADAM: 0.001, Optimizer.SGD: 0.01}


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How to train; the defaults are the tutorial's.

    `augmentation` None is the tutorial's for its own network and the strong one for every other; `shear`, `zoom` (see
    `AugmentationRanges`) and `horizontal_flip` replace its own where they are given.
    `remedies` against shortcuts become part of the model's preprocessing; `erase_border` is one for training alone.
    `learning_rate` None is Keras's default for the optimizer, `input_size` (pixels a side) None the network's
    own, `weights` None random. With `balance_classes` the rarer class weighs as much as the other in all.
    `frozen` fits the last layer at once upon a base that stays as it is: nothing of epochs, optimizer and augmentation
    applies. `own_labels` takes the labelled films that arrived at this site and no dataset, `excluded_sources` names
    sources of which none is taken.
    """

    architecture: Architecture = Architecture.SEED_CNN
    optimizer: Optimizer = Optimizer.RMSPROP
    learning_rate: float | None = None
    epochs: int = 15
    batch_size: int = 8
    augmentation: Augmentation | None = None
    shear: float | None = None
    zoom: float | None = None
    horizontal_flip: bool = True
    balance_classes: bool = True
    seed: int = 0
    weights: Path | None = None
    input_size: int | None = None
    trainable_base: bool = False
    frozen: bool = False
    own_labels: bool = False
    excluded_sources: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    erase_border: bool = False

    @property
    def preprocessing(self) -> Preprocessing:
        """The input that a network trained with these options takes."""
        plain = default_preprocessing(self.architecture, self.input_size)
        return replace(plain, remedies=tuple(one.value for one in Remedy if one in self.remedies))

    @property
    def augmented(self) -> Augmentation:
        """How strongly training X-rays are changed at random."""
        if self.augmentation is not None:
            return self.augmentation
        return Augmentation.TUTORIAL if self.architecture is Architecture.SEED_CNN else Augmentation.STRONG

    @property
    def ranges(self) -> AugmentationRanges:
        """What is drawn for each training X-ray."""
        plain = RANGES[self.augmented]
        return replace(
            plain,
            shear=plain.shear if self.shear is None else self.shear,
            zoom=plain.zoom if self.zoom is None else self.zoom,
            horizontal_flip=self.horizontal_flip,
        )

    @property
    def rate(self) -> float:
        """The learning rate that is used."""
        return _DEFAULT_RATES[self.optimizer] if self.learning_rate is None else self.learning_rate
