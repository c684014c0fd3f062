"""A DICOM file's pixel data to stored values: whole, of the claimed size, decoded by one library a syntax."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGLSTransferSyntaxes,
    RLELossless,
)

from xray_core.errors import UnreadableXray
from xray_core.imaging.dicom.tags import corrupt
from xray_core.imaging.jpeg import JPEG_SIGNATURE, JpegLayout, read_jpeg_layout
from xray_core.imaging.records import Flag
from xray_core.records import ReasonCode

_PILLOW_SYNTAXES = frozenset({JPEGBaseline8Bit, JPEG2000, JPEG2000Lossless})


def decode_pixels(dataset: Dataset, syntax: str) -> tuple[NDArray[np.integer], frozenset[Flag]]:
    """Stored values (height, width), signed as the dataset says, and what is worth knowing of the pixel data.

    Raises UnreadableXray, or one of `tags.DAMAGE`.
    """
    uid = UID(syntax)
    dataset.SamplesPerPixel = 1  # the decoders want it, even where it is left empty
    flags = _check_frame_of(dataset, uid) if uid.is_encapsulated else _drop_excess(dataset)
    stored, _ = get_decoder(uid).as_array(dataset, index=0, raw=True, decoding_plugin=_plugin(uid))
    return stored, frozenset(flags)


def _plugin(syntax: UID) -> str:
    """One decoder for each syntax, instead of pydicom's trying them all: outcomes must not depend on its order."""
    if syntax == RLELossless:
        return "pydicom"
    if not syntax.is_encapsulated:
        return ""
    if syntax in _PILLOW_SYNTAXES:
        return "pillow"
    _silence_gdcm()
    return "gdcm"


def _silence_gdcm() -> None:
    """GDCM writes to the standard error output what it thinks of a file."""
    import gdcm

    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()


def _drop_excess(dataset: Dataset) -> set[Flag]:
    """Cut what follows the pixels of one picture; refuse what may be pixels of more than that.

    PS3.5, 8.1.1: "applications should be prepared to accept such Pixel Data elements" with padding of any length. A
    byte more than the pixels' even length, up to a row of them, or filler of one byte up to a whole picture: all of
    that is dropped. More is a picture that the header does not claim (pydicom#796 and #801, dcmqi#341).
    """
    size = int(dataset.BitsAllocated) // 8
    row, expected = int(dataset.Columns) * size, int(dataset.Rows) * int(dataset.Columns) * size
    pixels = dataset.PixelData
    detail = f"DICOM: {len(pixels)} bytes of pixels; expected {expected}"
    if len(pixels) < expected:
        raise UnreadableXray(ReasonCode.TRUNCATED, detail)
    excess = pixels[expected:]
    if len(excess) <= expected % 2:
        return set()
    if len(excess) >= expected or (len(excess) >= row and excess.strip(excess[:1])):
        raise UnreadableXray(ReasonCode.PIXEL_DATA_MISMATCH, detail)
    dataset.PixelData = pixels[: expected + expected % 2]
    return {Flag.STRAY_BYTES}


def _check_frame_of(dataset: Dataset, syntax: UID) -> set[Flag]:
    """A compressed frame must be whole and claim the size of the dataset, or a small header hides a bomb."""
    if not dataset["PixelData"].is_undefined_length:
        raise corrupt("compressed pixels of defined length")
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    if syntax == RLELossless:
        return set()
    flags: set[Flag] = set()
    if syntax in JPEG2000TransferSyntaxes:
        codestream = _unpack_boxes(frame)
        claimed = _read_j2k_size(codestream)
        if codestream is not frame:
            dataset.PixelData = encapsulate([codestream])
    else:
        layout = _read_jpeg_frame(frame, is_jpeg_ls=syntax in JPEGLSTransferSyntaxes)
        claimed = (layout.width, layout.height)
        flags = {Flag.STRAY_BYTES} if layout.has_stray_bytes else set()
    if claimed != (dataset.Columns, dataset.Rows):
        raise corrupt(f"its frame is {claimed[0]}x{claimed[1]}; expected {dataset.Columns}x{dataset.Rows}")
    return flags


def _read_jpeg_frame(frame: bytes, *, is_jpeg_ls: bool) -> JpegLayout:
    if not frame.startswith(JPEG_SIGNATURE):
        raise corrupt("its frame is no JPEG")
    try:
        layout = read_jpeg_layout(frame)
    except UnreadableXray as error:
        raise _as_dicom(error) from None
    if (layout.frame == 0xF7) != is_jpeg_ls:
        raise corrupt("its frame is not of the transfer syntax")
    return layout


def _as_dicom(error: UnreadableXray) -> UnreadableXray:
    code = ReasonCode.TRUNCATED if error.reason is ReasonCode.TRUNCATED else ReasonCode.CORRUPT_DICOM
    return UnreadableXray(code, f"DICOM frame: {error.detail}")


def _read_j2k_size(frame: bytes) -> tuple[int, int]:
    """Width and height of a JPEG 2000 codestream's SIZ segment (ISO/IEC 15444-1, A.5.1)."""
    if not frame.startswith(b"\xff\x4f\xff\x51"):
        raise corrupt("its frame is no JPEG 2000 codestream")
    right, bottom, left, top = struct.unpack_from(">4I", frame, 8)
    return right - left, bottom - top


def _unpack_boxes(frame: bytes) -> bytes:
    """The bare codestream, which DICOM wants (PS3.5, A.4.4), of a frame that is a whole JP2 file.

    Some send those, and decoders take them (pydicom#2073). It is the content of the first `jp2c` box (ISO/IEC
    15444-1, I.4 and I.5.4); nothing where there is none.
    """
    if frame[4:8] != b"jP  ":
        return frame
    position = 0
    while position + 16 <= len(frame):
        length, kind, long_length = struct.unpack_from(">I4sQ", frame, position)
        header = 16 if length == 1 else 8
        if kind == b"jp2c":
            return frame[position + header :]
        position += max((long_length if length == 1 else length), header)
    return b""
