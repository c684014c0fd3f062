"""Whichever of two decoders reads a PNG, its pixels are those that the file holds."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from xray_core.errors import UnreadableXray
from xray_core.imaging.limits import ImageLimits
from xray_core.imaging.png import decode_plain_png, read_png_layout
from xray_core.imaging.raster import read_png
from xray_core.records import ReasonCode


@pytest.mark.parametrize("row_filter", range(5))
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_plain_png_shows_the_picture_that_pillow_shows(mode: str, row_filter: int) -> None:
    content = write_png(draw(mode), row_filter)

    decoded = decode_plain_png(content, read_png_layout(content))

    assert decoded is not None
    assert (decoded.mode, decoded.tobytes()) == show(content)
    assert decoded.tobytes() == draw(mode).tobytes()


@pytest.mark.parametrize("mode", ["LA", "P", "I;16"])
def test_a_png_of_another_kind_is_left_to_pillow(mode: str) -> None:
    content = save(draw(mode))

    assert decode_plain_png(content, read_png_layout(content)) is None


def test_a_png_with_a_transparent_colour_is_left_to_pillow_which_sees_that_it_lets_the_background_through() -> None:
    content = save(draw("L"), transparency=7)

    assert decode_plain_png(content, read_png_layout(content)) is None
    with pytest.raises(UnreadableXray) as refused:
        read_png(content, ImageLimits())
    assert refused.value.reason is ReasonCode.TRANSPARENT_PIXELS


def test_pixels_that_cannot_be_decoded_are_left_to_pillow_which_calls_them_corrupt() -> None:
    content = write_png(draw("L"), 0, damage=20)

    assert decode_plain_png(content, read_png_layout(content)) is None
    with pytest.raises(UnreadableXray) as refused:
        read_png(content, ImageLimits())
    assert refused.value.reason is ReasonCode.CORRUPT_IMAGE


def test_a_very_large_picture_is_left_to_pillow() -> None:
    content = save(draw("L"))
    layout = read_png_layout(content)

    assert decode_plain_png(content, replace(layout, width=2**20, height=2**10)) is None


def test_a_size_that_the_two_readers_do_not_agree_on_is_left_to_pillow() -> None:
    content = save(draw("L"))
    layout = read_png_layout(content)

    assert decode_plain_png(content, replace(layout, width=layout.width - 1)) is None


@pytest.mark.parametrize(("kind", "is_bare"), [(b"tEXt", True), (b"tIME", True), (b"pHYs", False), (b"zTXt", False)])
def test_what_only_pillow_refuses_in_a_chunk_before_the_pixels_is_refused_as_ever(kind: bytes, is_bare: bool) -> None:
    content = insert_chunk(save(draw("L")), kind, b"bbox\0 of a chunk that is none")
    if kind == b"pHYs":
        content = insert_chunk(save(draw("L")), kind, b"short")

    assert read_png_layout(content).is_bare is is_bare
    if is_bare:
        picture, facts = read_png(content, ImageLimits())
        assert (picture.tobytes(), facts.mode) == (draw("L").tobytes(), "L")
    else:
        with pytest.raises(UnreadableXray) as refused:
            read_png(content, ImageLimits())
        assert refused.value.reason is ReasonCode.CORRUPT_IMAGE


@pytest.mark.parametrize("place", [26, 27], ids=["compression", "filtering"])
def test_a_header_of_unknown_methods_is_left_to_pillow(place: int) -> None:
    content = bytearray(save(draw("L")))
    content[place] = 1
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))

    assert not read_png_layout(bytes(content)).is_bare


def draw(mode: str) -> Image.Image:
    levels = np.random.default_rng(3).integers(0, 256, (70, 77), dtype=np.uint8)
    if mode == "I;16":
        return Image.fromarray(levels.astype(np.uint16) * 200)
    bands = [Image.fromarray(np.roll(levels, 5 * band)) for band in range(4)]
    if mode in ("RGB", "RGBA"):
        return Image.merge(mode, bands[: len(mode)])
    return bands[0].convert(mode)


def save(image: Image.Image, **options: int) -> bytes:
    file = BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def write_png(image: Image.Image, row_filter: int, *, damage: int = 0) -> bytes:
    """A PNG all of whose rows have one filter (PNG specification, 9.2), its checksums right even when damaged."""
    colour_type = {"L": 0, "RGB": 2, "RGBA": 6}[image.mode]
    rows = b"".join(_filter_rows(image, row_filter))
    pixels = bytearray(zlib.compress(rows))
    pixels[len(pixels) // 2 : len(pixels) // 2 + damage] = bytes([0xFF]) * damage
    header = struct.pack(">IIBBBBB", image.width, image.height, 8, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", bytes(pixels)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def _filter_rows(image: Image.Image, row_filter: int) -> Iterator[bytes]:
    step = len(image.mode)
    stored = np.asarray(image).reshape(image.height, -1).astype(np.int64)
    above = np.zeros(stored.shape[1], np.int64)
    for row in stored:
        left, corner = (np.concatenate((np.zeros(step, np.int64), each[:-step])) for each in (row, above))
        guess = left + above - corner
        distances = np.abs(np.stack((guess - left, guess - above, guess - corner)))
        nearest = np.choose(distances.argmin(axis=0), (left, above, corner))
        predicted = (0, left, above, (left + above) // 2, nearest)[row_filter]
        yield bytes([row_filter]) + ((row - predicted) % 256).astype(np.uint8).tobytes()
        above = row


def show(content: bytes) -> tuple[str, bytes]:
    with Image.open(BytesIO(content)) as image:
        return image.mode, image.tobytes()


def insert_chunk(content: bytes, kind: bytes, body: bytes) -> bytes:
    """The same file with one more chunk behind its header."""
    return (
        content[:33]
        + struct.pack(">I", len(body))
        + kind
        + body
        + struct.pack(">I", zlib.crc32(kind + body))
        + content[33:]
    )
