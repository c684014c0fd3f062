"""A DICOM radiograph: which objects are chest films of people, and what their tags say."""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Collection
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, FileDataset, config, dcmread
from pydicom.tag import Tag
from pydicom.uid import (
    JPEG2000,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from xray_core.errors import UnreadableXray
from xray_core.imaging.dicom.display import deepen_pixels, show_pixels
from xray_core.imaging.dicom.identifiers import identify
from xray_core.imaging.dicom.pixel_data import decode_pixels
from xray_core.imaging.dicom.subject import PROTOCOLS, check_subject
from xray_core.imaging.dicom.tags import DAMAGE, corrupt, read_integer, read_text
from xray_core.imaging.grey_range import DeepPicture
from xray_core.imaging.limits import ImageLimits
from xray_core.imaging.records import Flag, GreyRules, Identifiers, ImageFacts
from xray_core.records import FileFormat, ReasonCode, age_group

# Its warnings quote tag values. Nothing that a tag holds may reach a log.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
config.settings.reading_validation_mode = config.IGNORE

_TRANSFER_SYNTAXES = frozenset(
    {
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        RLELossless,
        JPEGBaseline8Bit,
        JPEGLossless,
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEGLSNearLossless,
        JPEG2000Lossless,
        JPEG2000,
    }
)

# Only values of these closed sets are kept: a tag can hold anything, a name too.
_VIEWS = frozenset({"AP", "PA", "LL", "RL", "LLD", "RLD", "LLO", "RLO"})
_SEXES = frozenset({"F", "M", "O"})

_REQUIRED = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation", "PhotometricInterpretation")
_WANTED = (
    *_REQUIRED,
    *PROTOCOLS,
    "Modality",
    "PatientID",
    "StudyInstanceUID",
    "SOPInstanceUID",
    "PatientSex",
    "PatientAge",
    "PatientSpeciesDescription",
    "PatientSpeciesCodeSequence",
    "PatientBreedDescription",
    "BodyPartExamined",
    "ViewPosition",
    "PatientPosition",
    "PerformedProtocolCodeSequence",
    "BurnedInAnnotation",
    "SamplesPerPixel",
    "NumberOfFrames",
    "HighBit",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
    "PresentationLUTShape",
    "PixelData",
)


def read_dicom(
    content: bytes, limits: ImageLimits, *, rules: GreyRules = GreyRules.V2, chest_words: Collection[str] = ()
) -> tuple[NDArray[np.uint8], ImageFacts, Identifiers]:
    """Grey levels (height, width) uint8, facts and raw identifiers of a DICOM file. Raises UnreadableXray.

    `chest_words` are a site's own names of the chest as a body part, besides those that are known.

    The transfer syntax is read by hand first, so that a deflated file is refused before anything is inflated.
    Only the tags that are needed are kept.
    """
    syntax = _check_syntax(content)
    try:
        dataset, stored, flags = _decode(content, syntax, limits, chest_words)
        picture = show_pixels(stored, dataset, rules)
        facts = ImageFacts(
            file_format=FileFormat.DICOM,
            width=int(dataset.Columns),
            height=int(dataset.Rows),
            mode=f"{dataset.PhotometricInterpretation} {dataset.BitsStored}/{dataset.BitsAllocated}",
            scale_rule=picture.rule,
            flags=_order_flags(dataset, flags | picture.flags),
            view=_one_of(_VIEWS, dataset, "ViewPosition") or _one_of(_VIEWS, dataset, "PatientPosition"),
            sex=_one_of(_SEXES, dataset, "PatientSex"),
            age_group=_age_group(read_text(dataset, "PatientAge")),
        )
        return picture.levels, facts, identify(dataset)
    except DAMAGE as error:
        # Only the error's type: pydicom's own words can quote a tag.
        raise corrupt(f"cannot be read ({type(error).__name__})") from None


def read_deep_dicom(content: bytes, limits: ImageLimits, *, chest_words: Collection[str] = ()) -> DeepPicture:
    """The same film with all its grey levels, upright in brightness. Raises UnreadableXray."""
    syntax = _check_syntax(content)
    try:
        dataset, stored, _ = _decode(content, syntax, limits, chest_words)
        return deepen_pixels(stored, dataset)
    except DAMAGE as error:
        raise corrupt(f"cannot be read ({type(error).__name__})") from None


def _check_syntax(content: bytes) -> str:
    syntax = _read_transfer_syntax(content)
    if syntax not in _TRANSFER_SYNTAXES:
        raise UnreadableXray(
            ReasonCode.UNSUPPORTED_TRANSFER_SYNTAX,
            "expected implicit or explicit little endian, RLE, JPEG Baseline, JPEG Lossless, JPEG-LS or JPEG 2000",
        )
    return syntax


def _decode(
    content: bytes, syntax: str, limits: ImageLimits, chest_words: Collection[str]
) -> tuple[FileDataset, NDArray[np.integer], frozenset[Flag]]:
    """The wanted tags of a chest film, its stored values, and what is worth knowing of them."""
    dataset = _read_tags(content)
    check_subject(dataset, chest_words)
    _check_image(dataset, limits)
    stored, flags = decode_pixels(dataset, syntax)
    return dataset, stored, flags


def _read_transfer_syntax(content: bytes) -> str:
    """The Transfer Syntax UID of the file meta group (always explicit little endian; PS3.10, 7.1)."""
    position = 132
    while content[position : position + 2] == b"\x02\x00":
        if position + 12 > len(content):
            raise UnreadableXray(ReasonCode.TRUNCATED, "DICOM: ends inside its file meta group")
        element, representation, length = struct.unpack_from("<H2sH", content, position + 2)
        start = position + 8
        if representation in (b"OB", b"OW", b"UN", b"SQ", b"UT"):
            (length,) = struct.unpack_from("<I", content, start)
            start += 4
        if start + length > len(content):
            raise UnreadableXray(ReasonCode.TRUNCATED, "DICOM: ends inside its file meta group")
        if element == 0x0010:
            return content[start : start + length].rstrip(b"\0 ").decode("ascii", "replace")
        position = start + length
    raise corrupt("no transfer syntax in its file meta group")


class _Tape(BytesIO):
    """Bytes that remember whether more was asked of them than they hold."""

    ran_out = False

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        # pydicom asks for the 8 bytes of the next element's head; none at all is the regular end.
        if size is not None and len(found) < size and (found or size != 8 or self.tell() > len(self.getbuffer())):
            self.ran_out = True
        return found


def _read_tags(content: bytes) -> FileDataset:
    """The wanted tags of a whole file, or TRUNCATED, CORRUPT_DICOM or NO_PIXEL_DATA."""
    tape = _Tape(content)
    dataset = dcmread(tape, specific_tags=[Tag(keyword) for keyword in _WANTED])
    if "PixelData" in dataset:
        # A code string is of capitals (PS3.5, 6.2); some write it otherwise.
        dataset.PhotometricInterpretation = read_text(dataset, "PhotometricInterpretation").upper()
        return dataset
    if tape.ran_out:
        raise UnreadableXray(ReasonCode.TRUNCATED, "DICOM: ends before its pixels")
    if not read_text(dataset, "Modality"):
        raise corrupt("neither Modality nor PixelData")
    return dataset


def _check_image(dataset: Dataset, limits: ImageLimits) -> None:
    """Everything that the header claims of the pixels, before any of them is decoded."""
    missing = [keyword for keyword in _REQUIRED if dataset.get(keyword) in (None, "")]
    if missing:
        raise corrupt(f"no {', '.join(missing)}")
    if "PixelData" not in dataset:
        raise UnreadableXray(ReasonCode.NO_PIXEL_DATA, "no PixelData")
    if (read_integer(dataset, "NumberOfFrames") or 1) != 1:
        raise UnreadableXray(ReasonCode.MULTI_FRAME, "more than one frame; expected one")
    limits.check_shape(int(dataset.Columns), int(dataset.Rows))
    if dataset.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        raise UnreadableXray(ReasonCode.UNSUPPORTED_COLOUR, "expected MONOCHROME1 or MONOCHROME2")
    if (read_integer(dataset, "SamplesPerPixel") or 1) != 1:
        raise UnreadableXray(ReasonCode.UNSUPPORTED_COLOUR, "more than one sample a pixel; expected one")
    if dataset.BitsAllocated == 1:
        raise UnreadableXray(ReasonCode.ONE_BIT_IMAGE, "one bit a pixel; expected grey levels")
    if dataset.BitsAllocated not in (8, 16) or not 1 < dataset.BitsStored <= dataset.BitsAllocated:
        raise corrupt("BitsAllocated and BitsStored do not fit; expected 8 or 16 bits that hold what is stored")
    if read_integer(dataset, "HighBit") not in (None, dataset.BitsStored - 1):
        raise corrupt("HighBit is not BitsStored - 1")
    if dataset.PixelRepresentation not in (0, 1):
        raise corrupt("PixelRepresentation is neither 0 nor 1")


def _order_flags(dataset: Dataset, raised: frozenset[Flag]) -> tuple[Flag, ...]:
    flags = dict.fromkeys(raised, True) | {
        Flag.INVERTED: dataset.PhotometricInterpretation == "MONOCHROME1",
        Flag.BURNED_IN_ANNOTATION: read_text(dataset, "BurnedInAnnotation").upper() == "YES",
    }
    return tuple(flag for flag in Flag if flags.get(flag))


def _age_group(age: str) -> str | None:
    """An Age String ("062Y", "018M") as its band."""
    found = re.fullmatch(r"\s*(\d{1,3})([DWMY]?)\s*", age)
    return None if found is None else age_group(int(found[1]) / {"D": 365, "W": 52, "M": 12}.get(found[2], 1))


def _one_of(known: frozenset[str], dataset: Dataset, keyword: str) -> str | None:
    value = read_text(dataset, keyword).upper()
    return value if value in known else None
