"""PNG pixels, inflated at one go before Pillow reads them row by row."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from isal import isal_zlib

from xray_core.png_layout import PngLayout

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Both streams and the picture are in memory at one time; larger ones are read row by row.
_MOST_BYTES = 64 * 2**20
_MOST_STORED = 0xFFFF
# Pillow looks at neither checksum: the layout has looked at the real ones.
_END = b"\0\0\0\0" + b"\0\0\0\0IEND\xae\x42\x60\x82"


def store_pixels(content: bytes, layout: PngLayout) -> bytes:
    """The same PNG with its pixels stored instead of compressed, or `content` itself where that is no help.

    Pillow asks zlib for one row after another, which takes twice as long as ISA-L does for the whole: 1.5 ms of 9 for
    a film of 1024 x 1024. Interlaced, very large and damaged ones are left to Pillow and its judgement.
    """
    channels = _CHANNELS.get(layout.colour_type)
    if channels is None or layout.is_interlaced:
        return content
    wanted = layout.height * (1 + (layout.width * layout.bit_depth * channels + 7) // 8)
    if wanted > _MOST_BYTES:
        return content
    try:
        rows = isal_zlib.decompressobj().decompress(b"".join(layout.pixel_parts), wanted)
    except isal_zlib.IsalError:  # type: ignore[misc]  # its stub takes the class for an instance
        return content
    if len(rows) < wanted:
        return content
    stored = b"".join(_store(rows))
    return b"".join((content[: layout.pixels_start], struct.pack(">I4s", len(stored), b"IDAT"), stored, _END))


def _store(rows: bytes) -> Iterator[bytes]:
    """A zlib stream of stored blocks (RFC 1950; RFC 1951, 3.2.4): three times as fast as `zlib.compress(rows, 0)`."""
    yield b"\x78\x01"
    for start in range(0, len(rows), _MOST_STORED):
        block = rows[start : start + _MOST_STORED]
        is_last = start + _MOST_STORED >= len(rows)
        yield struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF)
        yield block
    yield isal_zlib.adler32(rows).to_bytes(4, "big")
