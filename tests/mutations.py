"""Structure-aware damage to whole X-rays: chunks, segments and elements change; what is around them still fits."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from pydicom.uid import JPEG2000, ImplicitVRLittleEndian, JPEGBaseline8Bit

from tests.dicom_files import dicom, eight_bit, j2k_frame, jpeg_frame, rle_file, stored_film, voi_table
from tests.hostile_files import encode, film, png_chunk

SIDE = 96
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_INTERESTING = (
    0,
    1,
    2,
    3,
    7,
    8,
    12,
    15,
    16,
    17,
    31,
    32,
    40,
    64,
    127,
    128,
    254,
    255,
    256,
    4095,
    4096,
    32767,
    32768,
    65535,
)
_TEXTS = (b"", b" ", b"NaN", b"inf", b"-1", b"0", b"1e999", b"abc", b"1\\2", b"\\", b"\xff\xfe", b"9" * 20)

Mutator = Callable[[random.Random], bytes]


def mutated_files(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """`count` files with their names: a third each PNG, JPEG and DICOM, each damaged in one to four places."""
    chance = random.Random(seed)
    kinds = (
        (".png", _png_bases(), _mutate_png),
        (".jpg", _jpeg_bases(), _mutate_jpeg),
        (".dcm", _dicom_bases(), _mutate_dicom),
    )
    for number in range(count):
        ending, bases, mutate = kinds[number % 3]
        content = chance.choice(bases)
        for _ in range(chance.randint(1, 4)):
            content = mutate(content, chance)
        yield f"mutated-{number:05d}{ending}", content


def _png_bases() -> list[bytes]:
    small = film(SIDE, SIDE)
    colour = np.stack([small] * 3, axis=-1)
    deep = small.astype(np.uint16) * 200
    alpha = np.dstack([colour, np.full_like(small, 255)])
    return [
        encode(small, "PNG"),
        encode(colour, "PNG"),
        encode(deep, "PNG"),
        encode(alpha, "PNG"),
        _deep_png(deep, 2),
        _deep_png(deep, 4),
    ]


def _deep_png(grey: np.ndarray, colour_type: int) -> bytes:
    channels = np.repeat(grey[..., np.newaxis], {2: 3, 4: 2}[colour_type], axis=-1)
    if colour_type == 4:
        channels[..., 1] = 65535
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in channels)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return _PNG_SIGNATURE + b"".join(png_chunk(kind, body) for kind, body in chunks)


def _jpeg_bases() -> list[bytes]:
    small = film(SIDE, SIDE)
    colour = np.stack([small] * 3, axis=-1)
    return [
        encode(small, "JPEG"),
        encode(small, "JPEG", progressive=True),
        encode(colour, "JPEG"),
        encode(small, "JPEG", restart_marker_blocks=4),
    ]


def _dicom_bases() -> list[bytes]:
    small = np.ascontiguousarray(stored_film()[:SIDE, :SIDE])
    tags = {
        "RescaleSlope": 2,
        "RescaleIntercept": -100,
        "WindowCenter": 3000,
        "WindowWidth": 6000,
        "PixelPaddingValue": 3,
    }
    return [
        dicom(small, **tags),
        dicom(small, syntax=ImplicitVRLittleEndian, **tags),
        dicom(small, VOILUTSequence=[voi_table(entries=4096, bits=12)]),
        dicom(small, ModalityLUTSequence=[voi_table(entries=4096, bits=12)], syntax=ImplicitVRLittleEndian),
        dicom(np.ascontiguousarray(eight_bit()[:SIDE, :SIDE])),
        dicom(jpeg_frame(), syntax=JPEGBaseline8Bit),
        dicom(j2k_frame(), syntax=JPEG2000),
        rle_file(),
    ]


def _mutate_png(content: bytes, chance: random.Random) -> bytes:
    """Another order, number, kind, body or length of chunks; checksums are right nine times in ten."""
    chunks = _split_png(content)
    if not chunks:
        return content
    place = chance.randrange(len(chunks))
    kind, body = chunks[place]
    match chance.randrange(8):
        case 0:
            del chunks[place]
        case 1:
            chunks.insert(chance.randrange(len(chunks) + 1), (kind, body))
        case 2:
            chunks.insert(
                place,
                (
                    chance.choice((b"tRNS", b"PLTE", b"eXIf", b"acTL", b"iCCP", b"sBIT", b"IDAT", b"zTXt")),
                    chance.randbytes(chance.choice((0, 1, 2, 6, 13, 300))),
                ),
            )
        case 3 | 4:
            chunks[place] = (kind, _change_bytes(body, chance))
        case 5:
            chunks = [(k, _change_header(b, chance) if k == b"IHDR" else b) for k, b in chunks]
        case _:
            chunks = [(k, _change_lines(b, chance) if k == b"IDAT" else b) for k, b in chunks]
    parts = [png_chunk(kind, body) for kind, body in chunks]
    if chance.random() < 0.1 and parts:
        place = chance.randrange(len(parts))
        parts[place] = _change_bytes(parts[place], chance)
    return _PNG_SIGNATURE + b"".join(parts)


def _split_png(content: bytes) -> list[tuple[bytes, bytes]]:
    chunks = []
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        if position + 12 + length > len(content):
            break
        chunks.append((kind, content[position + 8 : position + 8 + length]))
        position += 12 + length
    return chunks


def _change_header(body: bytes, chance: random.Random) -> bytes:
    if len(body) != 13:
        return body
    fields = list(struct.unpack(">IIBBBBB", body))
    place = chance.randrange(7)
    fields[place] = (
        chance.choice((0, 1, 63, 64, 95, 97, 5000, 2**31)) if place < 2 else chance.choice((0, 1, 2, 3, 4, 6, 7, 8, 16))
    )
    return struct.pack(">IIBBBBB", *fields)


def _change_lines(body: bytes, chance: random.Random) -> bytes:
    """Damage behind the compression: filters and pixels."""
    try:
        lines = zlib.decompress(body)
    except zlib.error:
        return body
    return zlib.compress(_change_bytes(lines, chance), 1)


def _mutate_jpeg(content: bytes, chance: random.Random) -> bytes:
    """Another order, number, kind, body or length of segments, or stray bytes between them."""
    segments = _split_jpeg(content)
    place = chance.randrange(len(segments))
    match chance.randrange(8):
        case 0:
            del segments[place]
        case 1:
            segments.insert(chance.randrange(len(segments) + 1), segments[place])
        case 2:
            segments.insert(place, chance.choice((bytes(2), b"\xff\0", chance.randbytes(30), b"\xff" * 5, bytes(2000))))
        case 3 if len(segments[place]) > 4:
            claimed = chance.choice((0, 1, 2, 3, len(segments[place]), 65535))
            segments[place] = segments[place][:2] + struct.pack(">H", claimed) + segments[place][4:]
        case 4 if len(segments[place]) > 2:
            segments[place] = segments[place][:1] + bytes([chance.randrange(0xC0, 256)]) + segments[place][2:]
        case _:
            segments[place] = segments[place][:2] + _change_bytes(segments[place][2:], chance)
    return b"".join(segments)


def _split_jpeg(content: bytes) -> list[bytes]:
    """Start, segments with their headers, scans with the data that follows, end."""
    segments = [content[:2]]
    position = 2
    while position + 4 <= len(content) and content[position] == 0xFF and content[position + 1] not in (0xD8, 0xD9):
        end = position + 2 + int.from_bytes(content[position + 2 : position + 4], "big")
        if content[position + 1] == 0xDA:
            while end + 1 < len(content) and not (
                content[end] == 0xFF and content[end + 1] not in (0, *range(0xD0, 0xD8))
            ):
                end += 1
        if end <= position + 2:
            break
        segments.append(content[position:end])
        position = end
    return [*segments, content[position:]]


def _mutate_dicom(content: bytes, chance: random.Random) -> bytes:
    """Another value, length, VR, order or number of elements; the file's own frame of reference stays."""
    start = content.find(b"\x08\x00\x16\x00", 132)
    elements = _split_dicom(content, start) if start > 0 else []
    if not elements:
        return _change_bytes(content, chance)
    place = chance.randrange(len(elements))
    head, body = elements[place]
    match chance.randrange(9):
        case 0:
            del elements[place]
        case 1:
            elements.insert(place, elements[place])
        case 2:
            elements[place] = (_with_length(head, 0), b"")
        case 3:
            value = struct.pack("<H", chance.choice(_INTERESTING)) * max(1, len(body) // 2 if len(body) < 9 else 1)
            elements[place] = (_with_length(head, len(value)), value)
        case 4:
            value = chance.choice(_TEXTS)
            elements[place] = (_with_length(head, len(value)), value)
        case 5:
            elements[place] = (_with_length(head, chance.choice((0, 1, 2, 3, 2**16 - 1, 2**32 - 1))), body)
        case 6 if head[4:6].isalpha():
            vr = chance.choice(
                (b"US", b"SS", b"OW", b"OB", b"UN", b"SQ", b"DS", b"IS", b"CS", b"UT", b"AT", b"FD", b"??")
            )
            elements[place] = (head[:4] + vr + head[6:], body)
        case 7:
            chance.shuffle(elements)
        case _:
            elements[place] = (head, _change_bytes(body, chance))
    return content[:start] + b"".join(head + body for head, body in elements)


def _split_dicom(content: bytes, position: int) -> list[tuple[bytes, bytes]]:
    """Head and value of each element; the rest as one where the walk can go no further."""
    elements = []
    while position + 8 <= len(content):
        is_explicit = content[position + 4 : position + 6].isalpha()
        is_long = content[position + 4 : position + 6] in (b"OB", b"OW", b"SQ", b"UN", b"UT")
        size = 12 if is_explicit and is_long else 8
        width = 2 if is_explicit and not is_long else 4
        length = int.from_bytes(content[position + size - width : position + size], "little")
        end = min(position + size + length, len(content))
        elements.append((content[position : position + size], content[position + size : end]))
        position = end
    return elements


def _with_length(head: bytes, length: int) -> bytes:
    width = 2 if head[4:6].isalpha() and len(head) == 8 else 4
    return head[:-width] + (length % 2 ** (8 * width)).to_bytes(width, "little")


def _change_bytes(content: bytes, chance: random.Random) -> bytes:
    """A few bytes set, cut, doubled or put in, half of them near the start."""
    at = chance.randrange(min(len(content), 64) + 1) if chance.random() < 0.5 else chance.randrange(len(content) + 1)
    size = chance.choice((1, 1, 2, 4, 20))
    match chance.randrange(5):
        case 0:
            return content[:at] + content[at + size :]
        case 1:
            return content[:at] + chance.randbytes(size) + content[at:]
        case 2:
            return content[:at] + content[at : at + size] + content[at:]
        case 3:
            return content[:at] + bytes(size) + content[at + size :]
        case _:
            return content[:at] + chance.randbytes(size) + content[at + size :]
