"""DICOM files, whole and hostile, built with pydicom or by hand."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, FileMetaDataset, config, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from xray_core.imaging.records import Flag
from xray_core.records import ReasonCode

Entry = tuple[str, Callable[[], bytes], ReasonCode | None, tuple[Flag, ...]]


@lru_cache
def stored_film(side: int = 256) -> NDArray[np.uint16]:
    """12-bit stored values of something that passes for a film."""
    rows, columns = np.mgrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
    noise = np.random.default_rng(11).normal(0, 40, (side, side))
    return np.clip(400 + 3000 * np.sin(3 * columns) * (0.4 + 0.6 * rows) + noise, 1, 4095).astype(np.uint16)


def dicom(
    pixels: NDArray[np.integer] | bytes | None = None, *, syntax: str = ExplicitVRLittleEndian, **tags: object
) -> bytes:
    """A chest film as DICOM bytes; a tag given as None is left out. Compressed pixels come as one frame's bytes."""
    dataset = _dataset(stored_film() if pixels is None else pixels, UID(syntax), tags)
    target = io.BytesIO()
    with config.disable_value_validation():
        dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


def _dataset(pixels: NDArray[np.integer] | bytes, syntax: UID, tags: dict[str, object]) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    bits = 8 * pixels.dtype.itemsize if isinstance(pixels, np.ndarray) else 8
    stored = {8: 8, 16: 12}[bits]
    values: dict[str, object] = {
        "SOPClassUID": DigitalXRayImageStorageForPresentation,
        "SOPInstanceUID": "1.2.3.4",
        "Modality": "DX",
        "PatientID": "ZZCANARY-7",
        "PatientName": "ZZCANARY^NAME",
        "PatientSex": "F",
        "PatientAge": "067Y",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[0] if isinstance(pixels, np.ndarray) else 256,
        "Columns": pixels.shape[1] if isinstance(pixels, np.ndarray) else 256,
        "BitsAllocated": bits,
        "BitsStored": stored,
        "HighBit": stored - 1,
        "PixelRepresentation": 0,
        "PixelData": pixels.tobytes() if isinstance(pixels, np.ndarray) else encapsulate([pixels]),
    }
    with config.disable_value_validation():
        for keyword, value in {**values, **tags}.items():
            if value is not None:
                setattr(dataset, keyword, value)
    if "PixelData" in dataset:
        dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
        dataset["PixelData"].is_undefined_length = syntax.is_encapsulated
    return dataset


def eight_bit() -> NDArray[np.uint8]:
    """The film's values in 8 bits."""
    return (stored_film() >> 4).astype(np.uint8)


def jpeg_frame() -> bytes:
    """The film as one JPEG Baseline frame."""
    return _frame("JPEG", quality=95)


def _frame(kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    Image.fromarray(eight_bit()).save(target, kind, **options)
    return target.getvalue()


def j2k_frame() -> bytes:
    """The film as one JPEG 2000 codestream."""
    return _frame("JPEG2000", no_jp2=True)


def rle_file() -> bytes:
    """The film, RLE compressed."""
    dataset = dcmread(io.BytesIO(dicom()))
    dataset.compress(RLELossless)
    target = io.BytesIO()
    dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


def voi_table(*, entries: int, bits: int) -> Dataset:
    """A VOI lookup table over the whole 12-bit range that rises in a straight line."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [entries, 0, bits])
    item.add_new("LUTData", "US", np.linspace(0, 2**bits - 1, entries).astype(int).tolist())
    return item


def hostile_dicom_files() -> Iterator[Entry]:
    """(name, content, outcome, flags) of every DICOM file in the corpus."""
    yield from _whole()
    yield from _unfinished()
    yield from _contradictory()
    yield from _of_something_else()
    yield from _compressed()


def _whole() -> Iterator[Entry]:
    film = stored_film()
    signed = film.astype(np.int16) - 2000
    padded = film.copy()
    padded[:32] = 0
    contents: dict[str, Callable[[], bytes]] = {
        "12bit": dicom,
        "signed": lambda: dicom(signed, PixelRepresentation=1),
        "8bit": lambda: dicom(eight_bit()),
        "rescale": lambda: dicom(RescaleSlope=2, RescaleIntercept=-1024),
        "window": lambda: dicom(WindowCenter=2000, WindowWidth=3000),
        "sigmoid": lambda: dicom(WindowCenter=2000, WindowWidth=3000, VOILUTFunction="SIGMOID"),
        "exact": lambda: dicom(WindowCenter=2000, WindowWidth=3000, VOILUTFunction="LINEAR_EXACT"),
        "many-windows": lambda: dicom(WindowCenter=[2000, 9], WindowWidth=[3000, 2]),
        "voi-table": lambda: dicom(VOILUTSequence=[voi_table(entries=4096, bits=12)]),
        "padding": lambda: dicom(padded, PixelPaddingValue=0),
        "implicit": lambda: dicom(syntax=ImplicitVRLittleEndian),
        "jpeg": lambda: dicom(jpeg_frame(), syntax=JPEGBaseline8Bit),
        "j2k": lambda: dicom(j2k_frame(), syntax=JPEG2000),
        "rle": rle_file,
        "no-body-part": lambda: dicom(BodyPartExamined=None),
        "thorax": lambda: dicom(BodyPartExamined="THORAX"),
        "cr": lambda: dicom(Modality="CR"),
        "rg": lambda: dicom(Modality="RG"),
        "bad-charset": lambda: dicom(SpecificCharacterSet="ISO_IR 100").replace(b"ISO_IR 100", b"ISO_IR 999"),
        "kanji": lambda: dicom(SpecificCharacterSet="ISO_IR 192", PatientName="山田^太郎", PatientID="山田-1"),
        "injection": lambda: dicom(PatientID="'; DROP TABLE xrays;--", ViewPosition="=cmd|'/c calc'!A1"),
        "100-deep": lambda: _with_bytes(_nest(100)),
        "person": lambda: dicom(PatientSpeciesDescription="Homo sapiens"),
    }
    for name, content in contents.items():
        yield f"whole-{name}.dcm", content, None, ()
    yield "whole-without-ending", dicom, None, ()
    yield "dicom-inside.png", dicom, None, (Flag.EXTENSION_MISMATCH,)
    yield "whole-inverted.dcm", lambda: dicom(PhotometricInterpretation="MONOCHROME1"), None, (Flag.INVERTED,)
    ignored = (Flag.WINDOW_IGNORED,)
    yield "whole-window-width-0.dcm", lambda: dicom(WindowCenter=5, WindowWidth=0), None, ignored
    yield "whole-window-function.dcm", lambda: dicom(WindowCenter=5, WindowWidth=9, VOILUTFunction="ODD"), None, ignored
    yield "whole-annotated.dcm", lambda: dicom(BurnedInAnnotation="YES"), None, (Flag.BURNED_IN_ANNOTATION,)


def _unfinished() -> Iterator[Entry]:
    cuts: dict[str, Callable[[], bytes]] = {
        "in-meta": lambda: dicom()[:170],
        "in-tags": lambda: dicom()[: dicom().index(b"ZZCANARY^NAME") + 4],
        "in-pixels": lambda: dicom()[: len(dicom()) // 2],
        "one-byte-short": lambda: dicom()[:-1],
        "short-pixels": lambda: dicom(PixelData=stored_film().tobytes()[:-1000]),
        "in-frame": lambda: dicom(jpeg_frame(), syntax=JPEGBaseline8Bit)[:-2000],
        "no-delimiter": lambda: dicom(jpeg_frame(), syntax=JPEGBaseline8Bit)[:-8],
        "cut-frame": lambda: dicom(jpeg_frame()[:-2000], syntax=JPEGBaseline8Bit),
        "in-rle": lambda: rle_file()[:-2000],
        "in-j2k": lambda: dicom(j2k_frame(), syntax=JPEG2000)[:-2000],
        "huge-element": lambda: _with_bytes(struct.pack("<HH2sHI", 8, 0x4000, b"UT", 0, 0xFFFFFFF0)),
    }
    cuts["unknown-vr"] = lambda: _with_bytes(b"\x08\x00\x55\x00??\x04\x00abcd")
    for name, content in cuts.items():
        yield f"cut-{name}.dcm", content, ReasonCode.TRUNCATED, ()


def _with_bytes(element: bytes) -> bytes:
    """A whole file with raw bytes put before its first tag after the SOP Instance UID."""
    content = dicom()
    position = content.index(b"\x08\x00\x60\x00CS")
    return content[:position] + element + content[position:]


def _nest(depth: int) -> bytes:
    """A sequence of undefined length in a sequence in a sequence ..."""
    start = struct.pack("<HH2sHI", 8, 0x1111, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return start * depth + end * depth


def _contradictory() -> Iterator[Entry]:
    corrupt, flat = ReasonCode.CORRUPT_DICOM, ReasonCode.NO_CONTRAST
    twice = stored_film().tobytes() * 2
    nothing = np.zeros((256, 256), np.uint16)
    contents: dict[str, tuple[Callable[[], bytes], ReasonCode]] = {
        "preamble-only": (lambda: bytes(128) + b"DICM", corrupt),
        "html": (lambda: bytes(128) + b"DICM<html><body>Not found</body></html>", corrupt),
        "no-rows": (lambda: dicom(Rows=None), corrupt),
        "bits-stored-40": (lambda: dicom(BitsStored=40), corrupt),
        "bits-allocated-12": (lambda: dicom(BitsAllocated=12), corrupt),
        "high-bit": (lambda: dicom(HighBit=15), corrupt),
        "representation": (lambda: dicom(PixelRepresentation=7), corrupt),
        "text-slope": (lambda: _with_slope(b"abcdef"), corrupt),
        "2000-deep": (lambda: _with_bytes(_nest(2000)), corrupt),
        "no-modality": (lambda: dicom(Modality=None), corrupt),
        "one-bit": (lambda: dicom(BitsAllocated=1, BitsStored=1, HighBit=0), ReasonCode.ONE_BIT_IMAGE),
        "endless-slope": (lambda: _with_slope(b"1e4000"), _NOT_FINITE),
        "no-number": (lambda: _with_slope(b"nan   "), _NOT_FINITE),
        "60000-square": (lambda: dicom(Rows=60_000, Columns=60_000), ReasonCode.TOO_MANY_PIXELS),
        "a-billion-frames": (lambda: dicom(NumberOfFrames=10**9), ReasonCode.MULTI_FRAME),
        "three-frames": (lambda: dicom(NumberOfFrames=3), ReasonCode.MULTI_FRAME),
        "rows-0": (lambda: dicom(Rows=0), ReasonCode.TOO_SMALL),
        "twice": (lambda: dicom(PixelData=twice), ReasonCode.PIXEL_DATA_MISMATCH),
        "no-pixels": (lambda: dicom(PixelData=None), ReasonCode.NO_PIXEL_DATA),
        "zeros": (lambda: dicom(nothing), flat),
        "all-padding": (lambda: dicom(nothing, PixelPaddingValue=0), flat),
        "slope-0": (lambda: dicom(RescaleSlope=0, RescaleIntercept=0), flat),
        "unknown-photometric": (lambda: dicom(PhotometricInterpretation="ODD"), ReasonCode.UNSUPPORTED_COLOUR),
        "colour": (lambda: dicom(PhotometricInterpretation="RGB", SamplesPerPixel=3), ReasonCode.UNSUPPORTED_COLOUR),
        "no-preamble": (lambda: dicom()[132:], ReasonCode.UNSUPPORTED_FORMAT),
    }
    for name, (content, outcome) in contents.items():
        yield f"bad-{name}.dcm", content, outcome, ()


def _with_slope(text: bytes) -> bytes:
    """A file whose RescaleSlope is these six bytes."""
    return dicom(RescaleSlope="7.2500", RescaleIntercept=0).replace(b"7.2500", text)


_NOT_FINITE = ReasonCode.NON_FINITE_PIXELS


def _of_something_else() -> Iterator[Entry]:
    report = dict.fromkeys(("Rows", "Columns", "BitsAllocated", "PixelData", "PhotometricInterpretation"))
    part = ReasonCode.WRONG_BODY_PART
    yield "other-ct.dcm", lambda: dicom(Modality="CT"), ReasonCode.WRONG_MODALITY, ()
    yield "other-report.dcm", lambda: dicom(Modality="SR", **report), ReasonCode.WRONG_MODALITY, ()
    yield "other-knee.dcm", lambda: dicom(BodyPartExamined="KNEE"), part, ()
    yield "other-species.dcm", lambda: dicom(PatientSpeciesDescription="Canis lupus familiaris"), part, ()
    yield "other-breed.dcm", lambda: dicom(PatientBreedDescription="Beagle"), part, ()
    yield "other-protocol.dcm", lambda: dicom(ProtocolName="FELINE THORAX VD"), part, ()


def _compressed() -> Iterator[Entry]:
    corrupt, syntax = ReasonCode.CORRUPT_DICOM, ReasonCode.UNSUPPORTED_TRANSFER_SYNTAX
    contents: dict[str, tuple[Callable[[], bytes], ReasonCode]] = {
        "deflated": (lambda: _deflate(dicom()), syntax),
        "deflate-bomb": (_deflate_bomb, syntax),
        "big-endian": (lambda: dicom().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"), syntax),
        "unknown-syntax": (lambda: dicom().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0"), syntax),
        "garbage-frame": (lambda: dicom(b"\xff\xd8\xff\xe0" + b"\0\x04ab" * 99, syntax=JPEGBaseline8Bit), _CUT),
        "no-jpeg": (lambda: dicom(b"nothing like it" * 40, syntax=JPEGBaseline8Bit), corrupt),
        "no-j2k": (lambda: dicom(b"nothing like it" * 40, syntax=JPEG2000), corrupt),
        "no-rle": (lambda: dicom(b"nothing like it" * 40, syntax=RLELossless), corrupt),
        "bomb-under-256": (lambda: dicom(_claim(jpeg_frame(), 20_000), syntax=JPEGBaseline8Bit), corrupt),
        "j2k-bomb-under-256": (lambda: dicom(_claim_j2k(j2k_frame(), 20_000), syntax=JPEG2000), corrupt),
        "jpeg-as-jpeg-ls": (lambda: dicom(jpeg_frame(), syntax=JPEGLSLossless), corrupt),
        "baseline-as-lossless": (lambda: dicom(_claim(jpeg_frame(), 300), syntax=JPEGLosslessSV1), corrupt),
    }
    for name, (content, outcome) in contents.items():
        yield f"packed-{name}.dcm", content, outcome, ()


_CUT = ReasonCode.TRUNCATED


def _deflate(content: bytes) -> bytes:
    """The same data set after a deflated transfer syntax: valid, and refused all the same."""
    start = content.index(b"\x08\x00\x16\x00UI")
    return _deflated_meta() + _raw_deflate(content[start:])


def _deflate_bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return _deflated_meta() + first * 1024


def _raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def _deflated_meta() -> bytes:
    syntax = DeflatedExplicitVRLittleEndian.encode("ascii")
    syntax += bytes(len(syntax) % 2)
    element = struct.pack("<HH2sH", 2, 0x10, b"UI", len(syntax)) + syntax
    return bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(element)) + element


def _claim(frame: bytes, side: int) -> bytes:
    position = frame.index(b"\xff\xc0") + 5
    return frame[:position] + struct.pack(">HH", side, side) + frame[position + 4 :]


def _claim_j2k(frame: bytes, side: int) -> bytes:
    return frame[:8] + struct.pack(">II", side, side) + frame[16:]
