"""A PNG or JPEG to grey levels, upright."""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, PngImagePlugin

from xray_core.errors import UnreadableXray
from xray_core.imaging.colour import check_grey
from xray_core.imaging.grey_range import DeepPicture, find_range
from xray_core.imaging.jpeg import JpegLayout, read_jpeg_layout
from xray_core.imaging.limits import ImageLimits
from xray_core.imaging.png import PngLayout, decode_deep_colour, decode_plain_png, has_whole_stream, read_png_layout
from xray_core.imaging.records import Flag, GreyRules, ImageFacts, ScaleRule
from xray_core.imaging.sixteen_bits import read_deep_grey, stretch_png
from xray_core.records import FileFormat, ReasonCode

_ORIENTATION = 0x0112


_UPRIGHT = 1


def read_orientation(exif: bytes | None) -> int | None:
    """The EXIF orientation 1..8 (1, upright, where none is given), or None when the block cannot be trusted.

    Reads the first directory of the TIFF block and nothing else: names, places and times in it stay unread.
    TIFF 6.0, section 2; the orientation is a SHORT.
    """
    if exif is None:
        return _UPRIGHT
    try:
        return _find_orientation(exif, {b"II*\0": "<", b"MM\0*": ">"}[exif[:4]])
    except (KeyError, struct.error):
        return None


def _find_orientation(exif: bytes, order: str) -> int | None:
    (directory,) = struct.unpack_from(f"{order}I", exif, 4)
    (entries,) = struct.unpack_from(f"{order}H", exif, directory)
    for index in range(entries):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, directory + 2 + 12 * index)
        if tag == _ORIENTATION:
            return int(value) if 1 <= value <= 8 else None
    return _UPRIGHT


# At DEBUG it quotes EXIF values. Nothing that a file says of a person may reach a log.
logging.getLogger("PIL").setLevel(logging.WARNING)


# What Pillow's parsers were seen to raise on damaged files.
_PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


# The same for arrays of 16 bits.
_TURNS: dict[int, Callable[[NDArray[np.uint16]], NDArray[np.uint16]]] = {
    2: np.fliplr,
    3: lambda values: np.rot90(values, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda values: np.rot90(values, -1),
    7: lambda values: np.rot90(values, 2).T,
    8: np.rot90,
}


def read_png(content: bytes, limits: ImageLimits, rules: GreyRules = GreyRules.V2) -> tuple[Image.Image, ImageFacts]:
    """A PNG's picture in grey levels (mode L), and its facts. Raises UnreadableXray.

    16 bits, grey or colour, opaque alpha or none, are stretched by one rule (Pillow reads colour at 8 bits: #1888).
    """
    image, mode, layout, deep = _load_png(content, limits, rules)
    flags = {
        Flag.TRAILING_DATA: layout.has_trailing_data,
        Flag.SIXTEEN_BIT: layout.bit_depth == 16,
    }
    is_deep = layout.bit_depth == 16 and (mode.startswith("I") or rules is not GreyRules.V1)
    rule = ScaleRule.FULL_RANGE if is_deep else ScaleRule.EIGHT_BIT
    image = stretch_png(image, deep, layout, rules) if is_deep else _to_grey(image)
    return _finish(FileFormat.PNG, image, (layout.width, layout.height), mode, rule=rule, flags=flags, exif=layout.exif)


def read_deep_png(content: bytes, limits: ImageLimits) -> DeepPicture:
    """A PNG of 16 bits with all its grey levels, upright; its window is the film's own range. Raises UnreadableXray."""
    image, _, layout, deep = _load_png(content, limits, GreyRules.V2)
    stored = read_deep_grey(image, deep, layout)
    counts = np.bincount(stored.ravel(), minlength=2**16)
    used = np.flatnonzero(counts)
    low, high = find_range(used.astype(np.float64), counts[used])
    upright = _TURNS.get(read_orientation(layout.exif) or _UPRIGHT, np.asarray)(stored)
    return DeepPicture(np.ascontiguousarray(upright, dtype=np.uint16), int(low), int(high))


def _load_png(
    content: bytes, limits: ImageLimits, rules: GreyRules
) -> tuple[Image.Image, str, PngLayout, NDArray[np.uint16] | None]:
    """A whole PNG as Pillow opens it, its mode before it was decoded, its layout, and its channels of 16 bits."""
    layout = read_png_layout(content)
    limits.check_shape(layout.width, layout.height)
    if layout.bit_depth == 1:
        raise UnreadableXray(ReasonCode.ONE_BIT_IMAGE, "one bit a pixel; expected grey levels")
    plain = decode_plain_png(content, layout) if layout.is_bare else None
    if plain is not None:
        return plain, plain.mode, layout, None
    try:
        image: Image.Image = PngImagePlugin.PngImageFile(BytesIO(content))
        mode = image.mode
        _check_claim(image, layout.width, layout.height)
        deep = None if rules is GreyRules.V1 else decode_deep_colour(content, layout)
        image = (None if layout.is_bare else decode_plain_png(content, layout)) or image
        if deep is None or not has_whole_stream(content, layout):
            image.load()
    except _PILLOW_ERRORS as error:
        raise _corrupt("PNG", error) from None
    return image, mode, layout, deep


def read_jpeg(
    content: bytes, limits: ImageLimits, draft_size: tuple[int, int] | None
) -> tuple[Image.Image, ImageFacts]:
    """A JPEG's picture in grey levels (mode L), and its facts. Raises UnreadableXray.

    With a draft size (width, height) the picture is decoded at the smallest of 1/8, 1/4, 1/2 and 1/1 that is
    at least twice that size; the facts give the stored size.
    """
    layout = read_jpeg_layout(content)
    _check_jpeg(layout)
    limits.check_shape(layout.width, layout.height)
    try:
        image: Image.Image = JpegImagePlugin.JpegImageFile(BytesIO(content))
        mode = image.mode
        _check_claim(image, layout.width, layout.height)
        if draft_size is not None:
            image.draft(None, _double(draft_size, read_orientation(layout.exif)))
        image.load()
    except _PILLOW_ERRORS as error:
        raise _corrupt("JPEG", error) from None
    flags = {Flag.TRAILING_DATA: layout.end < len(content), Flag.STRAY_BYTES: layout.has_stray_bytes}
    image = _to_grey(image)
    size = (layout.width, layout.height)
    return _finish(FileFormat.JPEG, image, size, mode, rule=ScaleRule.EIGHT_BIT, flags=flags, exif=layout.exif)


def _check_jpeg(layout: JpegLayout) -> None:
    if layout.is_multi_picture:
        raise UnreadableXray(ReasonCode.MULTI_FRAME, "a multi-picture JPEG; expected one picture")
    if layout.frame not in (0xC0, 0xC1, 0xC2) or layout.precision != 8:
        detail = f"JPEG: SOF{layout.frame - 0xC0} with {layout.precision} bits; expected SOF0, SOF1 or SOF2 with 8"
        raise UnreadableXray(ReasonCode.CORRUPT_IMAGE, detail)
    if layout.components not in (1, 3):
        detail = f"{layout.components} colour components; expected 1 or 3"
        raise UnreadableXray(ReasonCode.UNSUPPORTED_COLOUR, detail)


def _check_claim(image: Image.Image, width: int, height: int) -> None:
    """Pillow and the layout must read the same size, or the limits were checked on the wrong one."""
    if image.size != (width, height):
        raise ValueError("two readers find two sizes")


def _double(draft_size: tuple[int, int], orientation: int | None) -> tuple[int, int]:
    width, height = draft_size
    is_lying = orientation is not None and orientation >= 5
    return (2 * height, 2 * width) if is_lying else (2 * width, 2 * height)


def _to_grey(image: Image.Image) -> Image.Image:
    """An image of one byte a channel as grey levels, or TRANSPARENT_PIXELS or NOT_GREYSCALE."""
    if image.mode == "L" and "transparency" not in image.info:
        return image
    if "transparency" in image.info:
        image = image.convert("RGBA")
    if "A" in image.getbands():
        if image.getchannel("A").getextrema() != (255, 255):
            raise UnreadableXray(ReasonCode.TRANSPARENT_PIXELS, "pixels that let the background through")
        image = image.getchannel("L") if image.mode == "LA" else image
    elif image.mode == "P":
        image = image.convert("RGB")
    if image.mode in ("RGB", "RGBA"):
        check_grey(image)
        image = image.convert("L")
    return image


def _finish(
    file_format: FileFormat,
    image: Image.Image,
    size: tuple[int, int],
    mode: str,
    *,
    rule: ScaleRule,
    flags: dict[Flag, bool],
    exif: bytes | None,
) -> tuple[Image.Image, ImageFacts]:
    """Turn the picture upright and write down what it is; the facts give the upright size."""
    orientation = read_orientation(exif)
    transposition = _TRANSPOSITIONS.get(orientation or 1)
    flags |= {Flag.EXIF_BAD: orientation is None, Flag.EXIF_ROTATED: transposition is not None}
    if transposition is not None:
        image = image.transpose(transposition)
    width, height = size[::-1] if orientation is not None and orientation >= 5 else size
    raised = tuple(flag for flag in Flag if flags.get(flag)) if any(flags.values()) else ()
    return image, ImageFacts(file_format, width, height, mode, rule, raised)


def _corrupt(kind: str, error: BaseException) -> UnreadableXray:
    """Only the error's type: Pillow's own words can quote the file."""
    return UnreadableXray(ReasonCode.CORRUPT_IMAGE, f"{kind}: cannot be decoded ({type(error).__name__})")
