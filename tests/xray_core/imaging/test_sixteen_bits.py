"""PNGs of 16 bits show the picture that their numbers hold, whatever their colour type."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import PngImagePlugin

from tests.dicom_files import stored_film
from tests.hostile_files import png_chunk
from tests.xray_core.imaging.test_lookup_tables import by_range
from xray_core.errors import UnreadableXray
from xray_core.imaging.radiograph import read_radiograph
from xray_core.imaging.records import Flag, GreyRules, ScaleRule
from xray_core.records import ReasonCode

CHANNELS = {"grey": (0, 1), "colour": (2, 3), "grey with alpha": (4, 2), "colour with alpha": (6, 4)}
FILM = stored_film()
# Adam7 (PNG specification, 8.2): first row, first column, rows apart, columns apart.
PASSES = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)


def channels_of(grey: NDArray[np.uint16], kind: str) -> NDArray[np.uint16]:
    colour, count = CHANNELS[kind]
    channels = np.repeat(grey[..., np.newaxis], count, axis=-1)
    if colour >= 4:
        channels[..., -1] = 65535
    return channels


def png16(
    channels: NDArray[np.uint16], kind: str, *, row_filter: int = 0, interlaced: bool = False, extra: bytes = b""
) -> bytes:
    """A PNG of 16 bits by hand; `extra` are chunks before the pixels."""
    parts = [channels[top::down, left::right] for top, left, down, right in PASSES] if interlaced else [channels]
    lines = b"".join(line for part in parts for line in _filter_lines(part, row_filter))
    height, width = channels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, CHANNELS[kind][0], 0, 0, int(interlaced))
    chunks = (png_chunk(b"IHDR", header), extra, png_chunk(b"IDAT", zlib.compress(lines)), png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _filter_lines(channels: NDArray[np.uint16], row_filter: int) -> list[bytes]:
    """None (0) or Sub (1), which subtracts the same byte of the pixel before (PNG specification, 9.2)."""
    rows = np.ascontiguousarray(channels.astype(">u2")).view(np.uint8).reshape(channels.shape[0], -1)
    if row_filter == 1:
        step = 2 * channels.shape[-1]
        rows = rows - np.pad(rows, ((0, 0), (step, 0)))[:, :-step]
    return [bytes([row_filter]) + row.tobytes() for row in rows]


@pytest.mark.parametrize("row_filter", [0, 1])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("factor", [1, 4, 16])
@pytest.mark.parametrize("kind", CHANNELS)
def test_every_colour_type_shows_the_same_film(kind: str, factor: int, interlaced: bool, row_filter: int) -> None:
    film = FILM * np.uint16(factor) + np.uint16(7)

    radiograph = read_radiograph(png16(channels_of(film, kind), kind, interlaced=interlaced, row_filter=row_filter))

    assert np.array_equal(radiograph.pixels, by_range(film))
    assert radiograph.facts.scale_rule is ScaleRule.FULL_RANGE
    assert radiograph.facts.flags == (Flag.SIXTEEN_BIT,)


@pytest.mark.parametrize("kind", CHANNELS)
@pytest.mark.parametrize("place", [slice(3, 4), slice(10, 46)])
def test_a_hot_pixel_or_a_marker_at_full_scale_decides_nothing(kind: str, place: slice) -> None:
    spoilt = FILM.copy()
    spoilt[place, place] = 65535

    pixels = read_radiograph(png16(channels_of(spoilt, kind), kind)).pixels

    is_film = spoilt == FILM
    assert np.array_equal(pixels[is_film], by_range(FILM)[is_film])
    assert (pixels[~is_film] == 255).all()


def test_colour_becomes_the_grey_that_pillow_would_make_of_it() -> None:
    tinted = channels_of(FILM, "colour")
    tinted[..., 0] += 100

    pixels = read_radiograph(png16(tinted, "colour")).pixels

    red, green, blue = (tinted[..., band].astype(float) for band in range(3))
    grey = np.floor((red * 19595 + green * 38470 + blue * 7471 + 32768) / 65536)
    assert np.array_equal(pixels, by_range(grey))


def test_twelve_bit_values_are_judged_for_colour_within_their_own_range() -> None:
    photo = np.stack([FILM, np.roll(FILM, 60, axis=1), FILM[::-1]], axis=-1)

    with pytest.raises(UnreadableXray) as refused:
        read_radiograph(png16(photo, "colour"))

    assert refused.value.reason is ReasonCode.NOT_GREYSCALE


@pytest.mark.parametrize("kind", ["grey with alpha", "colour with alpha"])
@pytest.mark.parametrize("alpha", [0, 255, 65534])
def test_alpha_that_is_not_opaque_to_the_last_bit_is_refused(kind: str, alpha: int) -> None:
    channels = channels_of(FILM, kind)
    channels[5, 5, -1] = alpha

    with pytest.raises(UnreadableXray) as refused:
        read_radiograph(png16(channels, kind))

    assert refused.value.reason is ReasonCode.TRANSPARENT_PIXELS


@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_a_transparent_colour_is_refused_where_a_pixel_has_it(kind: str) -> None:
    for level, is_used in ((int(FILM[0, 0]), True), (65535, False)):
        extra = png_chunk(b"tRNS", struct.pack(">H", level) * CHANNELS[kind][1])
        content = png16(channels_of(FILM, kind), kind, extra=extra)

        if is_used:
            with pytest.raises(UnreadableXray) as refused:
                read_radiograph(content)
            assert refused.value.reason is ReasonCode.TRANSPARENT_PIXELS
        else:
            assert np.array_equal(read_radiograph(content).pixels, by_range(FILM))


@pytest.mark.parametrize("kind", CHANNELS)
def test_one_grey_level_has_no_contrast(kind: str) -> None:
    with pytest.raises(UnreadableXray) as refused:
        read_radiograph(png16(channels_of(np.full((99, 99), 900, np.uint16), kind), kind))

    assert refused.value.reason is ReasonCode.NO_CONTRAST


def test_chunks_that_fit_no_other_depth_do_not_matter() -> None:
    extra = png_chunk(b"sBIT", bytes([12, 16])) + png_chunk(b"bKGD", b"\x0f\xff") + png_chunk(b"gAMA", b"\0\0\xb1\x8f")

    radiograph = read_radiograph(png16(channels_of(FILM, "grey with alpha"), "grey with alpha", extra=extra))

    assert np.array_equal(radiograph.pixels, by_range(FILM))


@pytest.mark.parametrize("kind", ["colour", "colour with alpha"])
def test_the_first_rules_take_colour_at_eight_bits_for_ever(kind: str) -> None:
    film = FILM * np.uint16(16)

    radiograph = read_radiograph(png16(channels_of(film, kind), kind), rules=GreyRules.V1)

    assert np.array_equal(radiograph.pixels, film >> 8)
    assert radiograph.facts.scale_rule is ScaleRule.EIGHT_BIT


def test_the_first_rules_stretch_grey_from_its_least_to_its_largest_value_for_ever() -> None:
    spoilt = FILM * np.uint16(8)
    spoilt[3, 3] = 65535

    pixels = read_radiograph(png16(channels_of(spoilt, "grey"), "grey"), rules=GreyRules.V1).pixels

    low = np.float32(spoilt.min())
    assert np.array_equal(pixels, np.rint((spoilt.astype(np.float32) - low) * (255 / float(65535 - low))))


def damaged(kind: str, damage: str) -> bytes:
    """A PNG of 16 bits whose chunks are whole and whose compressed pixels are not."""
    lines = b"".join(_filter_lines(channels_of(FILM * 16, kind), 1))
    stream = zlib.compress(lines)
    middle = len(stream) // 2
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            png_chunk(b"IHDR", struct.pack(">IIBBBBB", FILM.shape[1], FILM.shape[0], 16, CHANNELS[kind][0], 0, 0, 0)),
            png_chunk(
                b"IDAT",
                {
                    "cut": stream[:middle],
                    "one byte changed": stream[:middle] + bytes([stream[middle] ^ 255]) + stream[middle + 1 :],
                    "another checksum": stream[:-4] + b"abcd",
                    "fewer rows": zlib.compress(lines[: len(lines) // FILM.shape[0] * 50]),
                    "no pixels": b"garbage",
                }[damage],
            ),
            png_chunk(b"IEND", b""),
        )
    )


@pytest.mark.parametrize("kind", ["colour", "grey with alpha", "colour with alpha"])
@pytest.mark.parametrize("damage", ["cut", "one byte changed", "another checksum", "fewer rows", "no pixels"])
def test_damaged_pixels_in_whole_chunks_are_refused(kind: str, damage: str) -> None:
    with pytest.raises(UnreadableXray) as refusal:
        read_radiograph(damaged(kind, damage))

    assert refusal.value.reason is ReasonCode.CORRUPT_IMAGE


@pytest.mark.parametrize("kind", ["colour", "grey with alpha", "colour with alpha"])
def test_a_whole_film_in_colour_is_decoded_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(image: PngImagePlugin.PngImageFile) -> None:
        raise AssertionError("Pillow decodes it a second time, in twice the time")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)

    read_radiograph(png16(channels_of(FILM * 16, kind), kind))
