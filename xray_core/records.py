"""The words and values that all packages share; standard library only.

Longer than other files: the closed lists of words (reason codes first) stand in one place, to be looked up.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

RESEARCH_USE = "Research use only, not for diagnosis."


class Label(StrEnum):
    """A reader's ground truth for an X-ray."""

    COVID = "covid"
    NORMAL = "normal"
    UNSURE = "unsure"
    EXCLUDE = "exclude"
    OTHER = "other"  # abnormal, not covid

    @property
    def is_trainable(self) -> bool:
        """What says something of the disease may be trained on; `unsure` and `exclude` are kept and never are."""
        return self in (Label.COVID, Label.NORMAL, Label.OTHER)


class Held(StrEnum):
    """Why what was said of a film does not count as its label, for training or for judging."""

    DISPUTED = "readers disagree"
    WAITING = "a second reader is waited for"
    VISIBLE = "the score was visible"
    UNTOLD = "nobody wrote down whether the score was visible"
    UNSURE = "the reader without the score said unsure or exclude"
    CHOSEN = "it was neither chosen by chance nor read with all others"
    OTHER = "labelled other, which the policy never trains on"


class Standard(StrEnum):
    """By whom the label is that a film judges by, the strongest first."""

    TWO_BLINDED = "by two blinded readers"
    ADJUDICATED = "adjudicated"
    ONE_BLINDED = "by one blinded reader"
    DATASET = "dataset"
    READERS = "by readers who may have seen the score"


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


class Split(StrEnum):
    """Which side of the frozen split a patient stands on, for ever."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


# The share of patients that is never trained on: half of it validates, half tests.
HELD_OUT: Final = 0.4


@dataclass(frozen=True, slots=True)
class SideCount:
    """How many X-rays of one class stand on one side of the split, of how many known patients.

    `unknown` of the X-rays are of unknown patients.
    """

    split: Split
    label: Label
    xrays: int
    patients: int
    unknown: int = 0


# Chances of covid at which somebody might act, where no policy names others: the decision curve is drawn at them.
DECISION_THRESHOLDS: Final = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)

# Why a score is referred that does not simply lie between two thresholds; a result keeps these words.
LIKE_NEITHER: Final = (
    "its score is like that of neither class: above nearly all normal and below nearly all covid X-rays"
)
NO_THRESHOLD: Final = "the model has no threshold on that side of the scores, so nothing there is called by it"
WHILE_CONFOUNDED: Final = (
    "the champion's shortcut audit is confounded, and while it is every film is left to a reader: labelled films of "
    "your own, of both classes, may end that (`xray status` says about how many)"
)
# What a result is shown with that was written before its model was found confounded.
SINCE_CONFOUNDED: Final = {
    outcome: (
        f"it was called {outcome.value} when it was scored; since then the shortcut audit of its model is confounded, "
        "and while it is every film is left to a reader (`xray status` says what may end that)"
    )
    for outcome in (Outcome.POSITIVE, Outcome.NEGATIVE)
}
SCORE_REASONS: Final = frozenset({LIKE_NEITHER, NO_THRESHOLD, WHILE_CONFOUNDED, *SINCE_CONFOUNDED.values()})


def withhold(outcome: Outcome | None, reason: str | None) -> tuple[Outcome | None, str | None]:
    """A stored outcome and its reason as they are shown while the model is not to be believed: left to a reader."""
    return (Outcome.REFER, SINCE_CONFOUNDED[outcome]) if outcome in SINCE_CONFOUNDED else (outcome, reason)


def say_why_referred(outcome: Outcome | None, reason: str | None) -> str | None:
    """Why a reader must look; None for every other outcome.

    `reason` is what the result keeps: one of SCORE_REASONS, how the picture is no chest film, or None where the score
    lies between the thresholds.
    """
    if outcome is not Outcome.REFER:
        return None
    if reason is None:
        return "its score lies between the two thresholds"
    return reason if reason in SCORE_REASONS else f"it {reason}"


def is_unlike(reason: str | None) -> bool:
    """Whether a result's reason says that the picture is no chest film."""
    return reason is not None and reason not in SCORE_REASONS


class Verdict(StrEnum):
    """What the gate says of a candidate."""

    PROMOTE = "promote"
    REJECT = "reject"
    INSUFFICIENT_EVIDENCE = "insufficient evidence"

    def say(self, *, is_first: bool) -> str:
        """The verdict for people: a first model is instated, for it has beaten nobody."""
        return "instated" if is_first and self is Verdict.PROMOTE else self.value


class AuditVerdict(StrEnum):
    """What the shortcut audit says of a model."""

    CLEAN = "clean"
    SUSPECT = "suspect"
    CONFOUNDED = "confounded"


# Where a table has no verdict: nobody audited the model, or too few patients were there.
AUDIT_NOT_KNOWN = "not known"


class FileFormat(StrEnum):
    """The formats the service reads, found by content and never by name."""

    PNG = "png"
    JPEG = "jpeg"
    DICOM = "dicom"


class FolderKind(StrEnum):
    """What a folder that holds films is to us."""

    INCOMING = "incoming"  # where they arrive
    ARCHIVE = "archive"  # where scored ones are moved
    DATASET = "dataset"  # what a training was given


class PatientSource(StrEnum):
    """Where a film's patient is looked for besides CSVs and its own header."""

    SIDECAR = "sidecar"  # NAME.patient beside the film NAME
    FOLDER = "folder"  # a folder per patient, in datasets


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
    FEW_GREY_LEVELS = "FEW_GREY_LEVELS"  # a mask, a map of labels: never a film

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


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a file was not scored, in a code and in words that hold no patient data."""

    reason: ReasonCode
    detail: str


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
    COLUMNS_DISAGREE = "COLUMNS_DISAGREE"
    CONTRADICTION = "CONTRADICTION"
    CONTRADICTS_KNOWN = "CONTRADICTS_KNOWN"  # more than a fifth of the file's films: held for a person
    UNREADABLE = "UNREADABLE"
    UNMATCHED = "UNMATCHED"  # no X-ray here is the one that is meant, or several are


@dataclass(frozen=True, slots=True)
class LabelProblem:
    """One thing to mend before a CSV can be imported; `line` is None where the whole file is meant.

    `received` may hold a file name, and `name` is one: they go to the reviewer, not into a log.
    """

    line: int | None
    code: LabelProblemCode
    received: str
    accepted: str
    name: str | None = None

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line}: "
        what = f"{self.received} for {self.name!r}" if self.name else self.received
        return f"{where}received {what}; expected {self.accepted}"


@dataclass(frozen=True, slots=True)
class FilmPath:
    """Where a film's bytes were last read: a recorded folder (its id, kind and escaped place) and the path in it."""

    folder_id: int
    kind: FolderKind
    place: str
    path: str


@dataclass(frozen=True, slots=True)
class Reference:
    """What a film judges by on the test side: a label and whose it is, or why there is none."""

    label: Label | None
    standard: Standard | None = None
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class LabelledXray:
    """A labelled X-ray: where its bytes were last read, its label, whose it is.

    `label` is what it trains by, unless `held` says why it does not. `reference` is what it judges by; None in a set
    without readers, where a dataset's own label judges. `group` is the patient's pseudonym, or `content:<sha256>` where
    no patient is known; `former_groups` are the pseudonyms of patients whose it was said to be before, or is by its
    own header.
    """

    xray_id: int
    sha256: str
    path: FilmPath
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
    former_groups: tuple[str, ...] = ()
    held: Held | None = None
    reference: Reference | None = None

    @property
    def trains(self) -> bool:
        """Whether it may be trained on."""
        return self.held is None and self.label.is_trainable

    @property
    def judges_by(self) -> Reference:
        """What it judges by, where it stands on the test side."""
        return Reference(self.label, Standard.DATASET) if self.reference is None else self.reference

    @property
    def judges(self) -> bool:
        """Whether it may judge."""
        label = self.judges_by.label
        return label is not None and label.is_trainable

    def label_on(self, side: Split) -> Label | None:
        """The label that counts on a side of the split, if any does."""
        if side is Split.TEST:
            return self.judges_by.label if self.judges else None
        return self.label if self.trains else None

    @property
    def counts(self) -> bool:
        """Whether anything was said of it that trains, judges, or would once it is settled."""
        return self.trains or self.judges or self.held is not None


# For how many X-rays each stands, where every one stands for itself.
ONE_EACH: Final[Mapping[int, int]] = MappingProxyType({})


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

    def __format__(self, spec: str) -> str:
        """The value, its interval in brackets; `spec` is of each number, two decimals without one."""
        value, low, high = (format(number, spec or ".2f") for number in (self.value, self.low, self.high))
        return f"{value} ({low}-{high})"


def plural(count: int, noun: str) -> str:
    """So many of something, as people say it: `1 film`, `2 films`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


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


def is_content_group(group: str) -> bool:
    """Whether a group is an X-ray whose patient nobody knows."""
    return group.startswith("content:")
