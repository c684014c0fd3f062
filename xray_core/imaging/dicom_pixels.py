"""Stored DICOM values to grey levels: decode, mask, rescale, window, invert."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_modality_lut, apply_voi
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
from xray_core.imaging.jpeg import JPEG_SIGNATURE, read_jpeg_layout
from xray_core.imaging.records import ScaleRule
from xray_core.records import ReasonCode

# What pydicom and its decoders raise on damaged data: seen in practice, several for each kind of damage
# (RecursionError and NotImplementedError are RuntimeErrors, numpy's UFuncTypeError a TypeError).
DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)

_PILLOW_SYNTAXES = frozenset({JPEGBaseline8Bit, JPEG2000, JPEG2000Lossless})
_FLAT = "all pixels are alike"


def decode_pixels(dataset: Dataset, syntax: str) -> tuple[NDArray[np.uint8], ScaleRule]:
    """Grey levels (height, width) uint8, white is dense, and the rule that made them.

    Raises UnreadableXray, or one of DAMAGE.
    """
    uid = UID(syntax)
    _check_length(dataset, uid)
    decoder = get_decoder(uid)
    stored, _ = decoder.as_array(dataset, index=0, raw=True, decoding_plugin=_plugin(uid))
    return _apply_display(stored, dataset)


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


def _check_length(dataset: Dataset, syntax: UID) -> None:
    """The pixel data must be exactly one picture of the claimed size: neither cut nor twice as long."""
    if syntax.is_encapsulated:
        if not dataset["PixelData"].is_undefined_length:
            raise UnreadableXray(ReasonCode.CORRUPT_DICOM, "DICOM: compressed pixels of defined length")
        frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
        _check_frame(frame, syntax, int(dataset.Columns), int(dataset.Rows))
        return
    expected = int(dataset.Rows) * int(dataset.Columns) * int(dataset.BitsAllocated) // 8
    received = len(dataset.PixelData)
    detail = f"DICOM: {received} bytes of pixels; expected {expected}"
    if received < expected:
        raise UnreadableXray(ReasonCode.TRUNCATED, detail)
    if received > expected + expected % 2:
        raise UnreadableXray(ReasonCode.PIXEL_DATA_MISMATCH, detail)


def _check_frame(frame: bytes, syntax: UID, width: int, height: int) -> None:
    """A compressed frame must be whole and claim the size of the dataset, or a small header hides a bomb."""
    if syntax == RLELossless:
        return
    if syntax in JPEG2000TransferSyntaxes:
        claimed = _read_j2k_size(frame)
    else:
        if not frame.startswith(JPEG_SIGNATURE):
            raise UnreadableXray(ReasonCode.CORRUPT_DICOM, "DICOM: its frame is no JPEG")
        try:
            layout = read_jpeg_layout(frame)
        except UnreadableXray as error:
            raise _as_dicom(error) from None
        claimed = (layout.width, layout.height)
        if (layout.frame == 0xF7) != (syntax in JPEGLSTransferSyntaxes):
            raise UnreadableXray(ReasonCode.CORRUPT_DICOM, "DICOM: its frame is not of the transfer syntax")
    if claimed != (width, height):
        raise UnreadableXray(
            ReasonCode.CORRUPT_DICOM, f"DICOM: its frame is {claimed[0]}x{claimed[1]}; expected {width}x{height}"
        )


def _as_dicom(error: UnreadableXray) -> UnreadableXray:
    code = ReasonCode.TRUNCATED if error.reason is ReasonCode.TRUNCATED else ReasonCode.CORRUPT_DICOM
    return UnreadableXray(code, f"DICOM frame: {error.detail}")


def _read_j2k_size(frame: bytes) -> tuple[int, int]:
    """Width and height of a JPEG 2000 codestream's SIZ segment (ISO/IEC 15444-1, A.5.1)."""
    if not frame.startswith(b"\xff\x4f\xff\x51"):
        raise UnreadableXray(ReasonCode.CORRUPT_DICOM, "DICOM: its frame is no JPEG 2000 codestream")
    right, bottom, left, top = struct.unpack_from(">4I", frame, 8)
    return right - left, bottom - top


def _apply_display(stored: NDArray[np.integer], dataset: Dataset) -> tuple[NDArray[np.uint8], ScaleRule]:
    """One table from every possible stored value to its grey level, looked up for all pixels at once."""
    bits = 8 * stored.dtype.itemsize
    codes = stored.view(f"u{stored.dtype.itemsize}")
    values = np.arange(2**bits, dtype=codes.dtype).view(stored.dtype)
    is_padding = _find_padding(values, dataset)
    is_used = np.zeros(2**bits, dtype=bool)
    is_used[codes] = True
    is_used &= ~is_padding
    table, rule = _build_table(values, is_used, dataset)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        table = 255 - table
    table[is_padding] = 0
    return table[codes], rule


def _find_padding(values: NDArray[np.integer], dataset: Dataset) -> NDArray[np.bool_]:
    """Which stored values mean "no pixel here" (PS3.3, C.7.5.1.1.2): they are shown black and never measured."""
    padding = dataset.get("PixelPaddingValue")
    if padding is None:
        return np.zeros(values.shape, dtype=bool)
    low, high = sorted((int(padding), int(dataset.get("PixelPaddingRangeLimit", padding))))
    return np.asarray((values >= low) & (values <= high))


def _build_table(
    values: NDArray[np.integer], is_used: NDArray[np.bool_], dataset: Dataset
) -> tuple[NDArray[np.uint8], ScaleRule]:
    """Grey levels of all stored values: the file's own window or table, else darkest to 0 and brightest to 255."""
    if not is_used.any():
        raise UnreadableXray(ReasonCode.NO_CONTRAST, _FLAT)
    rescaled = np.asarray(apply_modality_lut(values, dataset), dtype=np.float64)
    used = rescaled[is_used]
    if not np.isfinite(used).all():
        raise UnreadableXray(ReasonCode.NON_FINITE_PIXELS, "rescaled pixels that are no numbers")
    low, high = float(used.min()), float(used.max())
    if low == high:
        raise UnreadableXray(ReasonCode.NO_CONTRAST, _FLAT)
    if dataset.get("VOILUTSequence"):
        depth = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        looked_up = apply_voi(np.rint(rescaled).astype(np.int64), dataset)
        return _to_levels(looked_up / (2**depth - 1)), ScaleRule.VOI
    if dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None:
        return _to_levels(_window(rescaled, dataset)), ScaleRule.VOI
    return _to_levels((rescaled - low) / (high - low)), ScaleRule.FULL_RANGE


def _window(values: NDArray[np.float64], dataset: Dataset) -> NDArray[np.float64]:
    """The first window, to 0..1 (PS3.3, C.11.2.1.2 and C.11.2.1.3)."""
    center, width = _first(dataset.WindowCenter), _first(dataset.WindowWidth)
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if width < 1 and not (width > 0 and function != "LINEAR"):
        raise UnreadableXray(ReasonCode.CORRUPT_DICOM, "DICOM: WindowWidth is too small to show anything")
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700)))
    if function == "LINEAR":
        center, width = center - 0.5, max(width - 1, 1e-9)
    elif function != "LINEAR_EXACT":
        raise UnreadableXray(ReasonCode.CORRUPT_DICOM, "DICOM: an unknown VOILUTFunction")
    return (values - center) / width + 0.5


def _first(value: object) -> float:
    """The first of a multi-valued window: the one that viewers show."""
    return float(value if isinstance(value, (int, float, str)) else value[0])  # type: ignore[index]


def _to_levels(shares: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)
