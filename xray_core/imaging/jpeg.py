"""A JPEG stream's segments, walked by hand: is it whole, and what does it claim to hold?"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from xray_core.errors import UnreadableXray
from xray_core.records import ReasonCode

JPEG_SIGNATURE = b"\xff\xd8\xff"

_SOI, _EOI, _SOS, _APP1, _APP2 = 0xD8, 0xD9, 0xDA, 0xE1, 0xE2
# Start of frame: C0-CF without DHT (C4), JPG (C8) and DAC (CC); F7 is JPEG-LS.
_FRAMES = (frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}) | {0xF7}
# TEM and RST0-RST7 stand alone; they carry no length.
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
# The first marker in entropy-coded data: not a stuffed FF00, a restart or a fill byte.
_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
# In JPEG-LS a stuffed byte is below 80: markers begin at 80.
_NEXT_LS_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")

_MARKER = re.compile(rb"\xff+[^\0\xff]")
# Between all segments together; two to thirty were seen.
_MOST_STRAY_BYTES = 1024

# A progressive picture has about ten scans. Hundreds are an attack: each costs a pass over all pixels.
_MAX_SCANS = 64


@dataclass(frozen=True, slots=True)
class JpegLayout:
    """What the segments say. `frame` is the low byte of the SOF marker, `end` the position after EOI."""

    frame: int
    precision: int
    width: int
    height: int
    components: int
    end: int
    exif: bytes | None
    is_multi_picture: bool
    has_stray_bytes: bool


def read_jpeg_layout(content: bytes) -> JpegLayout:
    """Walk all segments and scans up to the end-of-image marker.

    Pillow shows a file whose end is missing or zeroed. Stray bytes between two segments are skipped as libjpeg's
    next_marker skips them (opencv#9477, PaddleOCR#9925), but not without end. Raises UnreadableXray: TRUNCATED
    where the missing rest may still come, CORRUPT_IMAGE where it cannot help.
    """
    frame: tuple[int, int, int, int, int] | None = None
    exif: bytes | None = None
    is_multi_picture = False
    scans = stray = 0
    position = 2
    while True:
        start = _skip_stray_bytes(content, position)
        stray += start - position
        if stray > _MOST_STRAY_BYTES:
            raise _broken(content)
        marker, position = _next_marker(content, start)
        if marker == _EOI:
            break
        body, position = _read_segment(content, marker, position)
        if marker in _FRAMES:
            if frame is not None:
                raise _corrupt("two frame headers")
            frame = (marker, *_read_frame(body))
        elif marker == _SOS:
            if frame is None:
                raise _corrupt("a scan before its frame header")
            scans += 1
            position = _skip_scan(content, position, is_jpeg_ls=frame[0] == 0xF7)
        elif marker == _APP1 and exif is None and body.startswith(b"Exif\0"):
            exif = body[6:]
        elif marker == _APP2 and body.startswith(b"MPF\0"):
            is_multi_picture = True
        if scans > _MAX_SCANS:
            raise _corrupt(f"more than {_MAX_SCANS} scans")
    if frame is None or not scans:
        raise _corrupt("no picture between its first and last marker")
    return JpegLayout(*frame, end=position, exif=exif, is_multi_picture=is_multi_picture, has_stray_bytes=stray > 0)


def _skip_stray_bytes(content: bytes, position: int) -> int:
    """Where the next marker begins, with its fill bytes; FF 00 is none."""
    found = _MARKER.search(content, position)
    if found is None:
        raise _broken(content)
    return found.start()


def _next_marker(content: bytes, position: int) -> tuple[int, int]:
    """The marker at `position` and the position after it; fill bytes FF are skipped."""
    if position >= len(content):
        raise _truncated("ends before its end marker")
    while position < len(content) and content[position] == 0xFF:
        position += 1
    if position == len(content):
        raise _truncated("ends before its end marker")
    return content[position], position + 1


def _read_segment(content: bytes, marker: int, position: int) -> tuple[bytes, int]:
    if marker in _BARE:
        return b"", position
    if marker in (0x00, _SOI):
        raise _broken(content)
    if position + 2 > len(content):
        raise _truncated("ends inside a segment")
    end = position + int.from_bytes(content[position : position + 2], "big")
    if end < position + 2:
        raise _broken(content)
    if end > len(content):
        raise _truncated("ends inside a segment")
    return content[position + 2 : end], end


def _read_frame(body: bytes) -> tuple[int, int, int, int]:
    """Precision, width, height and number of components of a frame header."""
    if len(body) < 6:
        raise _corrupt("its frame header is too short")
    precision, height, width, components = struct.unpack_from(">BHHB", body)
    if not (width and height):
        raise _corrupt(f"claims {width}x{height} pixels")
    return precision, width, height, components


def _skip_scan(content: bytes, position: int, *, is_jpeg_ls: bool) -> int:
    """The position of the first marker after a scan's entropy-coded data."""
    found = (_NEXT_LS_MARKER if is_jpeg_ls else _NEXT_MARKER).search(content, position)
    if found is None:
        raise _truncated("ends inside its pixels")
    return found.start()


def _broken(content: bytes) -> UnreadableXray:
    """A stream that does not even end as a JPEG may still be arriving; one that does will not get better."""
    return _corrupt("not a marker where one must be") if content.endswith(b"\xff\xd9") else _truncated("no end marker")


def _truncated(detail: str) -> UnreadableXray:
    return UnreadableXray(ReasonCode.TRUNCATED, f"JPEG: {detail}")


def _corrupt(detail: str) -> UnreadableXray:
    return UnreadableXray(ReasonCode.CORRUPT_IMAGE, f"JPEG: {detail}")
