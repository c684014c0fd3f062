"""The words and values that all packages share; standard library only."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

RESEARCH_USE = "Research use only, not for diagnosis."


class Label(StrEnum):
    """A reader's ground truth for an X-ray."""

    COVID = "covid"
    NORMAL = "normal"
    UNSURE = "unsure"
    EXCLUDE = "exclude"

    @property
    def is_trainable(self) -> bool:
        """Only the two classes are trained on; the other labels are kept and never trained on."""
        return self in (Label.COVID, Label.NORMAL)


class Outcome(StrEnum):
    """What a result says at the operating point. `positive` always means covid."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    REFER = "refer"


class FileState(StrEnum):
    """What the service decided about one version (path, size, mtime) of an incoming file."""

    NEW = "new"
    DEFERRED = "deferred"
    SCORED = "scored"
    REJECTED = "rejected"


class Stage(StrEnum):
    """Where a model version stands. Promotion moves it; there is at most one champion."""

    CANDIDATE = "candidate"
    CHAMPION = "champion"
    RETIRED = "retired"
    REJECTED = "rejected"


class Split(StrEnum):
    """Which side of the frozen split a patient stands on, for ever."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class TrainingState(StrEnum):
    """Where one training run stands."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


class Verdict(StrEnum):
    """What the gate says of a candidate."""

    PROMOTE = "promote"
    REJECT = "reject"
    INSUFFICIENT_EVIDENCE = "insufficient evidence"


class AuditVerdict(StrEnum):
    """What the shortcut audit says of a model."""

    CLEAN = "clean"
    SUSPECT = "suspect"
    CONFOUNDED = "confounded"


class FileFormat(StrEnum):
    """The formats the service reads, found by content and never by name."""

    PNG = "png"
    JPEG = "jpeg"
    DICOM = "dicom"


class ReasonCode(StrEnum):
    """Why a file was not scored. A closed, documented list: codes are never renamed or reused."""

    # deferred: the file may be whole later
    UNSETTLED = "UNSETTLED"
    EMPTY = "EMPTY"
    TRUNCATED = "TRUNCATED"
    CHANGED_DURING_READ = "CHANGED_DURING_READ"
    GONE = "GONE"
    UNREADABLE = "UNREADABLE"
    # rejected: it never will be
    SYMLINK = "SYMLINK"
    NOT_REGULAR_FILE = "NOT_REGULAR_FILE"
    FILE_TOO_LARGE = "FILE_TOO_LARGE"
    BAD_NAME = "BAD_NAME"
    UNSUPPORTED_FORMAT = "UNSUPPORTED_FORMAT"
    CORRUPT_IMAGE = "CORRUPT_IMAGE"
    CORRUPT_DICOM = "CORRUPT_DICOM"
    TOO_MANY_PIXELS = "TOO_MANY_PIXELS"
    TOO_SMALL = "TOO_SMALL"
    BAD_ASPECT = "BAD_ASPECT"
    MULTI_FRAME = "MULTI_FRAME"
    UNSUPPORTED_COLOUR = "UNSUPPORTED_COLOUR"
    NOT_GREYSCALE = "NOT_GREYSCALE"
    TRANSPARENT_PIXELS = "TRANSPARENT_PIXELS"
    ONE_BIT_IMAGE = "ONE_BIT_IMAGE"
    NO_CONTRAST = "NO_CONTRAST"
    NON_FINITE_PIXELS = "NON_FINITE_PIXELS"
    UNSUPPORTED_TRANSFER_SYNTAX = "UNSUPPORTED_TRANSFER_SYNTAX"
    NO_PIXEL_DATA = "NO_PIXEL_DATA"
    PIXEL_DATA_MISMATCH = "PIXEL_DATA_MISMATCH"
    WRONG_MODALITY = "WRONG_MODALITY"
    WRONG_BODY_PART = "WRONG_BODY_PART"
    DECODE_TIMEOUT = "DECODE_TIMEOUT"
    DECODER_CRASHED = "DECODER_CRASHED"
    RESOURCE_LIMIT = "RESOURCE_LIMIT"
    NON_FINITE_SCORE = "NON_FINITE_SCORE"

    @property
    def may_become_whole(self) -> bool:
        """True when the file is deferred and looked at again, False when it is rejected for good."""
        return self in _DEFERRING


_DEFERRING = frozenset(
    {
        ReasonCode.UNSETTLED,
        ReasonCode.EMPTY,
        ReasonCode.TRUNCATED,
        ReasonCode.CHANGED_DURING_READ,
        ReasonCode.GONE,
        ReasonCode.UNREADABLE,
    }
)


class Flag(StrEnum):
    """Something worth knowing about an X-ray that was scored all the same."""

    EXIF_ROTATED = "exif_rotated"
    EXIF_BAD = "exif_bad"
    TRAILING_DATA = "trailing_data"
    SIXTEEN_BIT = "16bit"
    INVERTED = "inverted"
    SUSPECT_TRUNCATION = "suspect_truncation"
    BURNED_IN_ANNOTATION = "burned_in_annotation"
    EXTENSION_MISMATCH = "extension_mismatch"


class ScaleRule(StrEnum):
    """How stored pixel values became grey levels 0..255."""

    EIGHT_BIT = "8bit"  # taken as they are
    FULL_RANGE = "minmax"  # darkest pixel to 0, brightest to 255: 16-bit PNG, DICOM without a window
    VOI = "voi"  # the DICOM's own window or lookup table


class Scaling(StrEnum):
    """How grey levels 0..255 become the numbers that a network was trained on."""

    UNIT = "unit"  # x / 255
    CAFFE = "caffe"  # BGR, minus the ImageNet channel means (VGG16, ResNet50)
    MINUS_ONE_TO_ONE = "minus-one-to-one"  # x / 127.5 - 1 (Xception)
    NONE = "none"  # 0..255 as they are: the network scales by itself


class Architecture(StrEnum):
    """The networks that can be trained here. An imported model's architecture is the word `imported`."""

    SEED_CNN = "seed_cnn"
    VGG16 = "vgg16"
    RESNET50 = "resnet50"
    XCEPTION = "xception"


class Optimizer(StrEnum):
    """How the weights are moved in training."""

    RMSPROP = "rmsprop"
    ADAM = "adam"
    SGD = "sgd"


class OutputMeaning(StrEnum):
    """What a network's output says, so that every stored probability can be P(covid)."""

    SIGMOID_COVID = "sigmoid-covid"
    SIGMOID_NORMAL = "sigmoid-normal"
    SOFTMAX_COVID_FIRST = "softmax-covid-first"
    SOFTMAX_NORMAL_FIRST = "softmax-normal-first"


class Remedy(StrEnum):
    """A step of preprocessing against shortcuts; training and scoring share it, `model.json` records it."""

    LUNG_CROP = "lung-crop"  # crop to the box around the lungs
    EQUALIZE = "equalize"  # histogram equalisation of the whole X-ray
    CLAHE = "clahe"  # the same in tiles, with limited contrast
    MASK_MARKERS = "mask-markers"  # burnt-in letters and markers painted over


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Everything that decides how an X-ray's grey levels become a network's input."""

    height: int
    width: int
    channels: int
    scaling: Scaling
    remedies: tuple[str, ...] = ()

    @property
    def has_equal_channels(self) -> bool:
        """Whether the network is given the same grey picture in each channel, scaled alike."""
        return self.scaling is not Scaling.CAFFE

    @property
    def version(self) -> str:
        """A short stable name, part of every result's key: `v1-150x150x3-unit`."""
        return "-".join(("v1", f"{self.height}x{self.width}x{self.channels}", self.scaling.value, *self.remedies))


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


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The locked thresholds on P(covid): at or above `upper` positive, below `lower` negative, between refer.

    The figures are None for an imported model that nobody has judged here yet.
    """

    lower: float
    upper: float
    target_sensitivity: float | None
    sensitivity: float | None
    specificity: float | None
    positives: int
    negatives: int
    chosen_on: Split | None

    def outcome(self, probability: float) -> Outcome:
        """What a probability in 0..1 says at these thresholds."""
        if probability >= self.upper:
            return Outcome.POSITIVE
        return Outcome.NEGATIVE if probability < self.lower else Outcome.REFER


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an X-ray's file says of itself, free of anything that names a patient."""

    file_format: FileFormat
    width: int
    height: int
    mode: str
    scale_rule: ScaleRule
    flags: tuple[Flag, ...] = ()
    view: str | None = None
    sex: str | None = None
    age_group: str | None = None


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """What `model.json` says of an immutable model folder. `probe_outputs` are P(covid) on the stored probe inputs."""

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


@dataclass(frozen=True, slots=True)
class FileSeen:
    """One regular or irregular file as the folder walk saw it. Times in nanoseconds since 1970, size in bytes."""

    name: bytes
    size: int
    mtime_ns: int
    ctime_ns: int
    is_regular: bool
    is_symlink: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a file was not scored, in a code and in words that hold no patient data."""

    reason: ReasonCode
    detail: str


@dataclass(frozen=True, slots=True)
class ClaimedFile:
    """A file version that one scanner alone may work on until its lease ends."""

    file_id: int
    seen: FileSeen
    deferred_since: datetime | None
    tries: int


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A claimed file whose bytes are a whole X-ray; `patient` is a pseudonym, `dhash` 64 bits in hex."""

    file_id: int
    sha256: str
    facts: ImageFacts
    patient: str | None
    dhash: str


@dataclass(frozen=True, slots=True)
class ScoredFile:
    """A read file with its P(covid), or None where the X-ray was already scored by this model."""

    read: ReadFile
    probability: float | None
    outcome: Outcome | None
    duration_ms: float
    refer_reason: str | None = None
    distance: float | None = None


@dataclass(frozen=True, slots=True)
class Oddity:
    """How far a picture is from a chest film (about 1 for an ordinary one), and why that is too far, or None."""

    distance: float
    reason: str | None


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """A claimed file that was deferred (with the time of the next look) or rejected."""

    file_id: int
    sha256: str | None
    refusal: Refusal
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class ResultLine:
    """One line of the results CSV: one file that the service decided on."""

    file: str
    xray_sha256: str | None
    patient: str | None
    outcome: Outcome | None
    probability_covid: float | None
    model_version: str | None
    scored_at: datetime | None
    state: FileState
    reason_code: ReasonCode | None
    label: Label | None
    labelled_by: str | None
    labelled_at: datetime | None


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One accepted row of a labels CSV or one file of a folder per class."""

    line: int
    filename: str
    xray_sha256: str | None
    label: Label
    labelled_by: str | None
    labelled_at: datetime | None


class LabelProblemCode(StrEnum):
    """Why labels that came back were refused; for counts and screens, which must not show file names."""

    NOT_A_CSV = "NOT_A_CSV"
    TOO_LARGE = "TOO_LARGE"
    NOT_UTF8 = "NOT_UTF8"
    MALFORMED_CSV = "MALFORMED_CSV"
    NO_LABELS = "NO_LABELS"
    MISSING_COLUMN = "MISSING_COLUMN"
    REPEATED_COLUMN = "REPEATED_COLUMN"
    TOO_MANY_CELLS = "TOO_MANY_CELLS"
    UNKNOWN_LABEL = "UNKNOWN_LABEL"
    NO_FILE = "NO_FILE"
    NOT_REGULAR_FILE = "NOT_REGULAR_FILE"
    BAD_SHA256 = "BAD_SHA256"
    BAD_TIME = "BAD_TIME"
    BAD_READER = "BAD_READER"
    CONTRADICTION = "CONTRADICTION"
    UNMATCHED = "UNMATCHED"  # no X-ray here is the one that is meant, or several are


@dataclass(frozen=True, slots=True)
class LabelProblem:
    """One thing to mend before labels can be imported; `line` is None where the whole file is meant.

    `received` may hold a file name: it goes to the reviewer, not into a log.
    """

    line: int | None
    code: LabelProblemCode
    received: str
    accepted: str

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line}: "
        return f"{where}received {self.received}; expected {self.accepted}"


@dataclass(frozen=True, slots=True)
class LabelledXray:
    """An X-ray that can be trained on: where its bytes were last seen, its label, whose it is.

    `group` is the patient's pseudonym, or `content:<sha256>` where no patient is known.
    """

    xray_id: int
    sha256: str
    path: str
    label: Label
    group: str
    patient_known: bool
    source: str | None
    view: str | None
    sex: str | None
    age_group: str | None
    file_format: FileFormat
    width: int
    height: int
    dhash: str


def age_group(years: float) -> str:
    """The twenty-year band that an age falls into: coarse enough to single nobody out."""
    for youngest, band in ((80, "80 and over"), (60, "60-79"), (40, "40-59"), (18, "18-39")):
        if years >= youngest:
            return band
    return "under 18"


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the append-only, hash-chained audit log."""

    position: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: str
    sha256: str


@dataclass(frozen=True, slots=True)
class DatasetXray:
    """An X-ray of a training folder: its content, where it lies (escaped absolute path) and whose it is, if known."""

    sha256: str
    facts: ImageFacts
    patient: str | None
    dhash: str
    path: str
    source: str | None


@dataclass(frozen=True, slots=True)
class FileHistory:
    """What the service knows of one version of a file, and of its X-ray's result today; for `xray why`."""

    file_id: int
    name: str
    size: int
    mtime_ns: int
    state: FileState
    reason_code: ReasonCode | None
    reason_detail: str | None
    xray_sha256: str | None
    first_seen_at: datetime
    decided_at: datetime | None
    retry_at: datetime | None
    tries: int
    claimed_by: str | None
    superseded_at: datetime | None
    probability: float | None
    outcome: Outcome | None
    model_version: str | None
    label: Label | None
    refer_reason: str | None = None
    distance: float | None = None


@dataclass(frozen=True, slots=True)
class ScoredXray:
    """An X-ray that was scored: its content, where it was last read (escaped), one of its files' names, its label."""

    xray_id: int
    sha256: str
    path: str
    name: str | None
    patient: str | None
    label: Label | None
    file_format: FileFormat
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class LabelTally:
    """Per trainable label: X-rays that are new since a watermark, all X-rays, and patients."""

    new: dict[Label, int]
    xrays: dict[Label, int]
    patients: dict[Label, int]


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A registered model version."""

    model_id: int
    version: str
    stage: Stage
    architecture: str
    preprocessing_version: str
    keras_sha256: str
    onnx_sha256: str
    manifest_sha256: str
    label_set_sha256: str | None
    created_at: datetime
    proven: bool
    audit_verdict: AuditVerdict | None


@dataclass(frozen=True, slots=True)
class ChampionTerm:
    """One time as champion: who made which model champion, when, why, on which evidence, and its results so far."""

    version: str
    since: datetime
    until: datetime | None
    actor: str
    reason: str
    evaluation_id: int | None
    xrays_scored: int


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """A stored evaluation of a model on a named set; `figures` is JSON."""

    evaluation_id: int
    model_version: str
    set_name: str
    label_set_sha256: str
    figures: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One training; there is only ever one per label-set digest."""

    run_id: int
    label_set_sha256: str
    state: TrainingState
    label_watermark: int
    trigger: str
    started_at: datetime
    finished_at: datetime | None
    candidate_version: str | None
    verdict: Verdict | None
    reason: str | None
    policy_sha256: str | None
    flow_run_id: str | None


@dataclass(frozen=True, slots=True)
class ScanRecord:
    """One scan, or a row of `scans` equal ones that did nothing (idle, or stopped by the same problem)."""

    started_at: datetime
    finished_at: datetime
    scans: int
    scored: int
    rejected: int
    deferred: int
    problem: str | None


def escape_name(name: bytes) -> str:
    """A file name as reversible printable text: control characters, backslashes and stray bytes become \\xNN."""
    text = os.fsdecode(name)
    return "".join(
        character if character.isprintable() and character != "\\" else _escape_character(character)
        for character in text
    )


def unescape_name(text: str) -> bytes:
    """The bytes that `escape_name` was given."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), text.encode("utf-8"))


def _escape_character(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))


def name_content_group(sha256: str) -> str:
    """The group of an X-ray whose patient nobody knows: it stands for itself."""
    return f"content:{sha256}"
