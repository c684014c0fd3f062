"""The one thing that is read of an EXIF block: which way up the picture is."""

from __future__ import annotations

import struct

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
