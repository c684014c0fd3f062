"""The words and frozen values of a model that scores."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from xray_core.imaging.records import Preprocessing
from xray_core.records import LIKE_NEITHER, NO_THRESHOLD, Outcome, Split, is_unlike

NEVER_NEGATIVE: Final = 0.0  # as the lower threshold: no score is below it
NEVER_POSITIVE: Final = 2.0  # as the upper threshold: no score reaches it

# The file of a model folder that holds what chest X-rays look like to it (`chest_reference`).
REFERENCE_FILE: Final = "chest_reference.npz"


class OutputMeaning(StrEnum):
    """What a network's output says, so that every stored probability can be P(covid)."""

    SIGMOID_COVID = "sigmoid-covid"
    SIGMOID_NORMAL = "sigmoid-normal"
    SOFTMAX_COVID_FIRST = "softmax-covid-first"
    SOFTMAX_NORMAL_FIRST = "softmax-normal-first"


class ThresholdRule(StrEnum):
    """How thresholds were chosen."""

    SHARE = "share"  # at most 1 - target of the validation X-rays on the wrong side: models of before; promises nothing
    CONFORMAL = "conformal"  # at most 1 - target of new X-rays, on average: see `choose_operating_point`


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The locked thresholds on P(covid): at or above `upper` positive, below `lower` negative, between refer.

    `sensitivity` and `specificity_at_lower` are those of `lower`, `specificity` and `sensitivity_at_upper` those of
    `upper`, where they were chosen, 0..1. They are None for an imported model that nobody has judged here yet, and
    the last two for models from before both were kept. With `is_gap` what lies between is like neither class; else it
    could be either. NEVER_NEGATIVE and NEVER_POSITIVE stand where a class had too few patients for a threshold.
    `mix` is the share of covid in which the scores are probabilities, see `prevalence.find_mix`.
    """

    lower: float
    upper: float
    target_sensitivity: float | None
    sensitivity: float | None
    specificity: float | None
    positives: int
    negatives: int
    chosen_on: Split | None
    specificity_at_lower: float | None = None
    sensitivity_at_upper: float | None = None
    rule: ThresholdRule = ThresholdRule.SHARE
    is_gap: bool = False
    target_specificity: float | None = None
    covid_patients: int | None = None
    normal_patients: int | None = None
    mix: float | None = None

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Those of the two that there are, lowest first."""
        lower = () if self.lower == NEVER_NEGATIVE else (self.lower,)
        return lower if self.upper == NEVER_POSITIVE else (*lower, self.upper)

    def outcome(self, probability: float) -> Outcome:
        """What a probability in 0..1 says at these thresholds."""
        if probability >= self.upper:
            return Outcome.POSITIVE
        return Outcome.NEGATIVE if probability < self.lower else Outcome.REFER

    def refer_reason(self, probability: float) -> str | None:
        """Why a probability is referred where it does not simply lie between two thresholds (`say_why_referred`)."""
        if self.outcome(probability) is not Outcome.REFER:
            return None
        if len(self.thresholds) < 2:
            return NO_THRESHOLD
        return LIKE_NEITHER if self.is_gap else None


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """What `model.json` says of an immutable model folder. `probe_outputs` are P(covid) on the stored probe inputs.

    `source_file` is what the twin was made from, and `keras_sha256` its hash: a Keras file, or an imported ONNX file.
    """

    version: str
    architecture: str
    preprocessing: Preprocessing
    output: OutputMeaning
    operating_point: OperatingPoint
    keras_sha256: str
    onnx_sha256: str
    label_set_sha256: str | None
    created_at: datetime
    code_revision: str
    seed: int | None
    training: dict[str, str | int | float | bool | None]
    probe_outputs: tuple[float, ...]
    files: dict[str, str]
    source_file: str = "model.keras"


@dataclass(frozen=True, slots=True)
class Oddity:
    """How far a picture is from a chest film (about 1 for an ordinary one), and why that is too far, or None."""

    distance: float
    reason: str | None


@dataclass(frozen=True, slots=True)
class Score:
    """What a model says of one X-ray: P(covid), the outcome at the locked thresholds, the distance from a chest film.

    `refer_reason` is why a reader must look, where the score does not simply lie between the thresholds: the picture
    is too far from a chest film, or see `OperatingPoint.refer_reason`. The distance is None where the model has no
    reference.
    """

    probability: float
    outcome: Outcome
    distance: float | None
    refer_reason: str | None

    def refer(self, reason: str) -> Score:
        """The same probability, left to a reader for this reason; what is unlike a chest film keeps its own."""
        return self if self.is_odd else Score(self.probability, Outcome.REFER, self.distance, reason)

    @property
    def is_odd(self) -> bool:
        """Whether the picture is referred for what it is, whatever its probability."""
        return is_unlike(self.refer_reason)

    @property
    def is_probability(self) -> bool:
        """Whether the network's answer is a number in 0..1; not when it divided by zero, say."""
        return 0 <= self.probability <= 1
