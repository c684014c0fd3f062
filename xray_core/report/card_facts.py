"""What a model card is made from: plain values, most of them optional; what is missing the card calls unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from xray_core.imaging.records import Preprocessing
from xray_core.models.records import OperatingPoint
from xray_core.records import AuditVerdict, Interval, Label, Split, Verdict


class CardPart(StrEnum):
    """The part of the card that a picture belongs to."""

    DATA = "data"
    TRAINING = "training"
    PERFORMANCE = "performance"
    OPERATING_POINT = "operating point"
    CALIBRATION = "calibration"
    SLICES = "slices"
    AUDIT = "audit"
    PROMOTION = "promotion"
    EXPLANATION = "explanation"


@dataclass(frozen=True, slots=True)
class CardPicture:
    """A plot as PNG bytes, under the name it has beside MODEL_CARD.md."""

    part: CardPart
    file: str
    caption: str
    png: bytes


@dataclass(frozen=True, slots=True)
class CardSource:
    """A place that X-rays came from, and how many of each class it gave."""

    name: str
    covid: int
    normal: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class CardTrait:
    """How many X-rays of each class share a view, a sex, an age group, a format or a size."""

    name: str
    value: str
    covid: int
    normal: int


@dataclass(frozen=True, slots=True)
class CardCount:
    """How many X-rays and patients of one class stand on one side of the split."""

    split: Split
    label: Label
    xrays: int
    patients: int


@dataclass(frozen=True, slots=True)
class CardEvaluation:
    """How the model did on one set of X-rays that it was not trained on.

    `figures` are named as in `xray_core.evaluation.figures.Figures`; `prevalence` is what PPV, NPV and net benefit
    are for.
    `covid_outcomes` and `normal_outcomes` count X-rays called positive, refer, negative.
    """

    name: str
    covid_xrays: int
    normal_xrays: int
    covid_patients: int
    normal_patients: int
    prevalence: float
    resamples: int
    figures: Mapping[str, Interval | None]
    covid_outcomes: tuple[int, int, int]
    normal_outcomes: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class CardRecalibration:
    """The line that was folded into the last layer, and the calibration figures on the test X-rays without it."""

    intercept: float
    slope: float
    xrays: int
    before: Mapping[str, Interval | None]


@dataclass(frozen=True, slots=True)
class CardSlice:
    """One slice of the test X-rays; figures are None where there are too few, which `remark` says."""

    name: str
    value: str
    xrays: int
    patients: int
    auroc: Interval | None
    sensitivity: Interval | None
    specificity: Interval | None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class CardFinding:
    """One finding of the shortcut audit: a sentence for a clinician, its figure and its verdict."""

    name: str
    auc: Interval | None
    sentence: str
    verdict: AuditVerdict


@dataclass(frozen=True, slots=True)
class CardAudit:
    """The shortcut audit as a whole."""

    verdict: AuditVerdict
    sentence: str
    findings: tuple[CardFinding, ...]


@dataclass(frozen=True, slots=True)
class CardCheck:
    """One thing that the gate asked; `passed` is None where it could not be told."""

    name: str
    passed: bool | None
    words: str


@dataclass(frozen=True, slots=True)
class CardPromotion:
    """What the gate said; `champion` is the version that the candidate was compared with, if there was one."""

    verdict: Verdict
    reason: str
    champion: str | None
    checks: tuple[CardCheck, ...] = ()


@dataclass(frozen=True, slots=True)
class CardFacts:
    """Everything that a card says of one model version.

    `champion` is how the champion before it did on the same test X-rays.
    `proven` is False for a champion that no predecessor was beaten for. `layers` has a name, a kind, an output shape
    and a parameter count for each layer. `hashes` has names and SHA-256 sums. `answers` are a team's own words to
    the questions of `card_checklist`, by key; what nobody answered stays unknown on the card. `commands`
    make this model again. Beyond the distance `odd_limit` a picture is referred as no chest film; None: no picture is.
    So many of the test X-rays are (`odd_in_test`); the figures judge their scores all the same.
    """

    version: str
    architecture: str
    created_at: datetime
    code_revision: str
    proven: bool
    preprocessing: Preprocessing | None = None
    sources: tuple[CardSource, ...] = ()
    traits: tuple[CardTrait, ...] = ()
    counts: tuple[CardCount, ...] = ()
    split_notes: tuple[str, ...] = ()
    training: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    layers: tuple[tuple[str, str, str, int], ...] = ()
    operating_point: OperatingPoint | None = None
    recalibration: CardRecalibration | None = None
    test: CardEvaluation | None = None
    champion: CardEvaluation | None = None
    external: tuple[CardEvaluation, ...] = ()
    slices: tuple[CardSlice, ...] = ()
    audit: CardAudit | None = None
    promotion: CardPromotion | None = None
    largest_twin_difference: float | None = None
    limits: tuple[str, ...] = ()
    hashes: tuple[tuple[str, str], ...] = ()
    commands: tuple[str, ...] = ()
    pictures: tuple[CardPicture, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    odd_limit: float | None = None
    odd_in_test: int | None = None
