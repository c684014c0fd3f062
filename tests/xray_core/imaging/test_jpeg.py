"""Stray bytes between the segments of a JPEG are skipped as libjpeg skips them, and not without end."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from tests.hostile_files import encode, film, jpeg
from xray_core.errors import UnreadableXray
from xray_core.imaging.radiograph import read_radiograph
from xray_core.imaging.records import Flag
from xray_core.records import ReasonCode

STRAY = {
    "two zeros": bytes(2),
    "one": b"\x07",
    "thirty": bytes(range(30)),
    "a stuffed byte": b"\xff\0",
    "a fill byte and a stuffed one": b"\xff\xff\0",
    "stuffed bytes and others": b"\x12\xff\0\x34\xff\0",
    "nearly too many": b"\x55" * 1000,
}
PLACES = {"DQT": b"\xff\xdb", "SOF": b"\xff\xc0", "DHT": b"\xff\xc4", "SOS": b"\xff\xda"}


def insert(content: bytes, marker: bytes, stray: bytes) -> bytes:
    place = content.index(marker)
    return content[:place] + stray + content[place:]


@pytest.mark.parametrize("stray", STRAY.values(), ids=STRAY)
@pytest.mark.parametrize("marker", PLACES.values(), ids=PLACES)
def test_stray_bytes_before_a_segment_change_no_pixel_and_raise_a_flag(marker: bytes, stray: bytes) -> None:
    content = insert(jpeg(), marker, stray)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), np.asarray(Image.open(io.BytesIO(jpeg()))))

    radiograph = read_radiograph(content, name_ending=".jpg")

    assert np.array_equal(radiograph.pixels, read_radiograph(jpeg()).pixels)
    assert radiograph.facts.flags == (Flag.STRAY_BYTES,)


def test_between_two_scans_too() -> None:
    progressive = encode(film(), "JPEG", progressive=True)
    place = progressive.index(b"\xff\xc4", progressive.index(b"\xff\xda"))

    radiograph = read_radiograph(progressive[:place] + bytes(2) + progressive[place:])

    assert np.array_equal(radiograph.pixels, read_radiograph(progressive).pixels)


@pytest.mark.parametrize("ending", [b"\xff\xd9", b""])
def test_more_than_a_kilobyte_is_no_jpeg_any_more(ending: bytes) -> None:
    content = insert(jpeg(), PLACES["DQT"], b"\x55" * 1100)[:-2] + ending

    with pytest.raises(UnreadableXray) as refused:
        read_radiograph(content)

    assert refused.value.reason is (ReasonCode.CORRUPT_IMAGE if ending else ReasonCode.TRUNCATED)


def test_fill_bytes_are_no_stray_ones() -> None:
    assert read_radiograph(insert(jpeg(), PLACES["DQT"], b"\xff\xff")).facts.flags == ()


def test_a_stream_that_ends_in_stray_bytes_is_cut() -> None:
    head = jpeg()[: jpeg().index(PLACES["SOS"])]

    with pytest.raises(UnreadableXray) as refused:
        read_radiograph(head + struct.pack(">4H", 1, 2, 3, 4))

    assert refused.value.reason is ReasonCode.TRUNCATED
