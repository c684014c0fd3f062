"""The words and frozen values of imaging."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from xray_core.records import FileFormat


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
    STRAY_BYTES = "stray_bytes"  # bytes that belong to nothing, as every decoder skips them
    WINDOW_IGNORED = "window_ignored"  # its window or table shows nothing: the film's own range is shown
    PRESENTATION_IGNORED = "presentation_ignored"  # its Presentation LUT Shape contradicts its photometric tag


class ScaleRule(StrEnum):
    """How stored pixel values became grey levels 0..255."""

    EIGHT_BIT = "8bit"  # taken as they are
    FULL_RANGE = "minmax"  # darkest of the film to 0, brightest to 255: 16-bit PNG, DICOM without a window
    VOI = "voi"  # the DICOM's own window or lookup table


class GreyRules(StrEnum):
    """By which rules stored values become grey levels. A model keeps those that it was trained with, pixel by pixel."""

    V1 = "v1"  # least to largest value; colour of 16 bits at 8; tables and padding as pydicom reads them
    V2 = "v2"  # the film's own range whatever a few pixels hold; 16 bits in colour; tables and padding as they are sent


class Scaling(StrEnum):
    """How grey levels 0..255 become the numbers that a network was trained on."""

    UNIT = "unit"  # x / 255
    CAFFE = "caffe"  # BGR, minus the ImageNet channel means (VGG16, ResNet50)
    MINUS_ONE_TO_ONE = "minus-one-to-one"  # x / 127.5 - 1 (Xception)
    NONE = "none"  # 0..255 as they are: the network scales by itself


class Remedy(StrEnum):
    """A step of preprocessing against shortcuts; training and scoring share it, `model.json` records it."""

    LUNG_CROP = "lung-crop"  # crop to the box around the lungs
    EQUALIZE = "equalize"  # histogram equalisation of the whole X-ray
    CLAHE = "clahe"  # the same in tiles, with limited contrast
    MASK_MARKERS = "mask-markers"  # burnt-in letters and markers painted over


class RemedyWord(StrEnum):
    """What --remedy takes: a step of preprocessing, or borders that are erased at random while training."""

    LUNG_CROP = Remedy.LUNG_CROP.value
    EQUALIZE = Remedy.EQUALIZE.value
    CLAHE = Remedy.CLAHE.value
    MASK_MARKERS = Remedy.MASK_MARKERS.value
    ERASE_BORDER = "erase-border"


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Everything that decides how an X-ray's grey levels become a network's input."""

    height: int
    width: int
    channels: int
    scaling: Scaling
    remedies: tuple[str, ...] = ()
    rules: GreyRules = GreyRules.V2

    @property
    def has_equal_channels(self) -> bool:
        """Whether the network is given the same grey picture in each channel, scaled alike."""
        return self.scaling is not Scaling.CAFFE

    @property
    def version(self) -> str:
        """A short stable name, part of every result's key: `v2-150x150x3-unit`."""
        size = f"{self.height}x{self.width}x{self.channels}"
        return "-".join((self.rules.value, size, self.scaling.value, *self.remedies))


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


class UidKind(StrEnum):
    """What a UID names, and so the column of the results that its pseudonym stands in."""

    STUDY = "study"  # Study Instance UID (0020,000D)
    IMAGE = "image"  # SOP Instance UID (0008,0018)


@dataclass(frozen=True, slots=True)
class Identifiers:
    """What a DICOM header calls the patient, the study and the image: make pseudonyms of it at once and log it never.

    The Patient ID, Study Instance UID and SOP Instance UID as they stand there; None where nothing of use does.
    """

    patient: str | None = field(default=None, repr=False)
    study: str | None = field(default=None, repr=False)
    image: str | None = field(default=None, repr=False)


# What a PNG or JPEG says of that.
UNIDENTIFIED = Identifiers()

# The longest pause before a file is looked at again; a later time was written by a clock that was wrong.
LONGEST_RETRY = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class FileSeen:
    """A file as the folder walk saw it, or an object as its bucket listed it. Times in nanoseconds, size in bytes.

    An object has no change time: `ctime_ns` is a number made of its ETag, which changes when the object does, and `tag`
    the ETag itself, by which it is asked for. Neither says anything of what the object holds.
    """

    name: bytes
    size: int
    mtime_ns: int
    ctime_ns: int
    is_regular: bool
    is_symlink: bool
    tag: str | None = None
