from __future__ import annotations

import io
import logging
import struct
import warnings

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.dicom_files import dicom
from tests.films import FILMS
from tests.hostile_files import encode, film, jpeg, png, raw_png
from xray_core.errors import UnreadableXray
from xray_core.imaging.limits import ImageLimits
from xray_core.imaging.radiograph import read_radiograph
from xray_core.imaging.records import UNIDENTIFIED, Flag, ScaleRule
from xray_core.records import FileFormat, ReasonCode

LIMITS = ImageLimits()


@pytest.mark.lengthy
@pytest.mark.films
def test_every_real_film_is_read_and_none_looks_cut() -> None:
    paths = sorted(path for path in FILMS.rglob("*") if path.suffix in (".png", ".jpg", ".jpeg"))
    refused = []
    flagged = set()
    for path in paths:
        try:
            radiograph = read_radiograph(path.read_bytes(), name_ending=path.suffix, draft_size=(150, 150))
        except UnreadableXray as error:
            refused.append(f"{path.name}: {error}")
        else:
            flagged |= set(radiograph.facts.flags)

    assert len(paths) == 240
    assert refused == []
    assert flagged <= {Flag.SIXTEEN_BIT}


def test_a_grey_png_keeps_its_very_pixels() -> None:
    radiograph = read_radiograph(png(), name_ending=".png")

    assert np.array_equal(radiograph.pixels, film())
    assert radiograph.facts.file_format is FileFormat.PNG
    assert (radiograph.facts.width, radiograph.facts.height) == (256, 256)
    assert (radiograph.facts.mode, radiograph.facts.scale_rule) == ("L", ScaleRule.EIGHT_BIT)
    assert radiograph.identifiers == UNIDENTIFIED


@pytest.mark.parametrize("factor", [1, 16, 257])
def test_sixteen_bits_are_stretched_from_darkest_to_brightest_whatever_they_hold(factor: int) -> None:
    content = encode(film().astype(np.uint16) * factor, "PNG")

    radiograph = read_radiograph(content)

    low, high = int(film().min()), int(film().max())
    expected = np.rint((film().astype(float) - low) * 255 / (high - low))
    assert np.abs(radiograph.pixels - expected).max() <= 1
    assert radiograph.facts.scale_rule is ScaleRule.FULL_RANGE


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotated_picture_is_turned_upright_as_pillow_turns_it(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(film(192, 256), "JPEG", exif=exif, quality=95)

    radiograph = read_radiograph(content)

    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    assert np.array_equal(radiograph.pixels, upright)
    assert (radiograph.facts.height, radiograph.facts.width) == upright.shape


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_draft_is_at_least_twice_the_size_that_was_asked_for_and_the_facts_stay_true(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(film(1600, 1200), "JPEG", exif=exif)

    whole = read_radiograph(content)
    draft = read_radiograph(content, draft_size=(150, 150))

    assert whole.pixels.size == 1600 * 1200
    assert 300 <= min(draft.pixels.shape) < 600
    assert draft.facts == whole.facts
    assert draft.pixels.shape[0] * 4 == whole.pixels.shape[0]


def test_a_draft_of_a_small_picture_is_the_picture() -> None:
    draft = read_radiograph(jpeg(), draft_size=(150, 150))

    assert draft.pixels.shape == (256, 256)


def test_the_hash_of_a_resized_or_recompressed_copy_differs_in_few_bits() -> None:
    original = read_radiograph(encode(film(900, 900), "PNG"))
    copy = read_radiograph(encode(Image.fromarray(film(900, 900)).resize((700, 700)), "JPEG", quality=60))
    other = read_radiograph(encode(255 - film(900, 900), "PNG"))

    assert _distance(original.dhash, copy.dhash) <= 4
    assert _distance(original.dhash, other.dhash) >= 12


def _distance(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


@pytest.mark.parametrize(
    ("width", "height", "reason"),
    [
        (64, 64, None),
        (63, 64, ReasonCode.TOO_SMALL),
        (64, 256, None),
        (64, 257, ReasonCode.BAD_ASPECT),
        (8_000, 5_000, None),
        (8_000, 5_001, ReasonCode.TOO_MANY_PIXELS),
    ],
)
def test_the_limits_hold_to_the_pixel(width: int, height: int, reason: ReasonCode | None) -> None:
    try:
        LIMITS.check_shape(width, height)
        received = None
    except UnreadableXray as error:
        received = error.reason

    assert received is reason


def test_a_few_coloured_arrows_are_tolerated_and_a_tinted_tenth_is_not() -> None:
    arrows = np.stack([film()] * 3, axis=-1)
    arrows[:24, :200] = (255, 0, 0)
    tinted = arrows.copy()
    tinted[:30] = (255, 0, 0)

    read_radiograph(encode(arrows, "PNG"))
    with pytest.raises(UnreadableXray) as refused:
        read_radiograph(encode(tinted, "PNG"))

    assert refused.value.reason is ReasonCode.NOT_GREYSCALE


def test_no_warning_of_a_library_escapes() -> None:
    noisy = Image.fromarray(film()).quantize(64)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\xff\0\0"
    content = jpeg()[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg()[2:]

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        read_radiograph(content)
        with pytest.raises(UnreadableXray):
            read_radiograph(encode(noisy, "PNG", transparency=bytes(range(64))))

    assert heard == []


def test_a_refusal_quotes_nothing_of_the_file() -> None:
    content = raw_png(256, 256, data=b"ZZCANARY" * 9)

    with pytest.raises(UnreadableXray) as refused:
        read_radiograph(content, name_ending=".ZZCANARY")

    assert "ZZCANARY" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_nothing_of_the_file_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    exif = Image.Exif()
    exif[0x013B] = "ZZCANARY"

    with caplog.at_level(logging.DEBUG):
        read_radiograph(encode(film(), "JPEG", exif=exif, comment=b"ZZCANARY"))
        read_radiograph(dicom(SpecificCharacterSet="ISO_IR 100").replace(b"ISO_IR 100", b"ZZCANARY 1"))
        read_radiograph(dicom(RescaleSlope=1, RescaleIntercept=0, PatientAge="ZZCANARY"))

    assert "ZZCANARY" not in caplog.text
