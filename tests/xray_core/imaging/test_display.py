"""DICOM display with empty, odd and contradictory tags; the right picture is computed with numpy alone."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import config, dcmread
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit

from tests.dicom_files import dicom, eight_bit, jpeg_frame, stored_film
from tests.xray_core.imaging.test_lookup_tables import by_range, levels
from xray_core.errors import UnreadableXray
from xray_core.imaging.radiograph import read_radiograph
from xray_core.imaging.records import Flag, ScaleRule
from xray_core.records import ReasonCode

FILM = stored_film()
PLAIN = by_range(FILM)


def empty(content: bytes, *keywords: str) -> bytes:
    """The same file with these elements there and empty, as anonymisers leave them."""
    dataset = dcmread(io.BytesIO(content))
    for keyword in keywords:
        if keyword.startswith("PixelPadding"):
            dataset.add(DataElement(Tag(keyword), "US", None))
        else:
            setattr(dataset, keyword, None)
    return save(dataset)


def save(dataset: object) -> bytes:
    target = io.BytesIO()
    with config.disable_value_validation():
        dataset.save_as(target, enforce_file_format=True)  # type: ignore[attr-defined]
    return target.getvalue()


def with_element(content: bytes, keyword: str, vr: str, value: object) -> bytes:
    dataset = dcmread(io.BytesIO(content))
    dataset.add(DataElement(Tag(keyword), vr, value))
    return save(dataset)


def refuse(content: bytes) -> ReasonCode | None:
    try:
        read_radiograph(content)
    except UnreadableXray as error:
        return error.reason
    return None


OPTIONAL = (
    "RescaleSlope",
    "RescaleIntercept",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "ModalityLUTSequence",
    "VOILUTSequence",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "HighBit",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PresentationLUTShape",
    "BurnedInAnnotation",
    "BodyPartExamined",
    "PatientSpeciesCodeSequence",
)


@pytest.mark.parametrize("keyword", [*OPTIONAL, "all of them"])
def test_an_optional_tag_that_is_empty_is_absent(keyword: str) -> None:
    radiograph = read_radiograph(empty(dicom(), *(OPTIONAL if keyword == "all of them" else (keyword,))))

    assert np.array_equal(radiograph.pixels, PLAIN)
    assert radiograph.facts.flags == ()


@pytest.mark.parametrize("blank", [b"  ", b"\\ "])
def test_blanks_are_as_good_as_nothing(blank: bytes) -> None:
    content = dicom(RescaleSlope="22", RescaleIntercept=0, WindowCenter="11", WindowWidth="33")
    for number in (b"22", b"11", b"33"):
        content = content.replace(b"DS\x02\x00" + number, b"DS\x02\x00" + blank)

    assert np.array_equal(read_radiograph(content).pixels, PLAIN)


@pytest.mark.parametrize(("slope", "intercept"), [(None, -1024), (2, None), ("", "")])
def test_half_a_rescale_is_completed(slope: object, intercept: object) -> None:
    tags = {"WindowCenter": 1000, "WindowWidth": 2001, "RescaleSlope": 7, "RescaleIntercept": 7}
    dataset = dcmread(io.BytesIO(dicom(**tags)))
    dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept

    rescaled = FILM.astype(float) * (slope or 1) + (intercept or 0)
    assert np.array_equal(read_radiograph(save(dataset)).pixels, levels((rescaled - 999.5) / 2000 + 0.5))


UNUSABLE: dict[str, dict[str, object]] = {
    "width 0": {"WindowCenter": 2000, "WindowWidth": 0},
    "negative width": {"WindowCenter": 2000, "WindowWidth": -100},
    "all below": {"WindowCenter": -5000, "WindowWidth": 100},
    "all above": {"WindowCenter": 1e6, "WindowWidth": 100},
    "a threshold": {"WindowCenter": 2000, "WindowWidth": 1},
    "unknown function": {"WindowCenter": 2000, "WindowWidth": 3000, "VOILUTFunction": "ODD"},
    "center alone": {"WindowCenter": 2000},
    "width alone": {"WindowWidth": 2000},
    "endless": {"WindowCenter": "1e999", "WindowWidth": "1e999"},
    "far too wide": {"WindowCenter": 2000, "WindowWidth": 1e9},
    "sigmoid of nothing": {"WindowCenter": 2000, "WindowWidth": 0, "VOILUTFunction": "SIGMOID"},
}


@pytest.mark.parametrize("tags", UNUSABLE.values(), ids=UNUSABLE)
def test_a_window_that_shows_nothing_gives_way_to_the_films_range_and_a_flag_says_so(tags: dict[str, object]) -> None:
    radiograph = read_radiograph(dicom(**tags))

    assert np.array_equal(radiograph.pixels, PLAIN)
    assert radiograph.facts.scale_rule is ScaleRule.FULL_RANGE
    assert radiograph.facts.flags == (Flag.WINDOW_IGNORED,)


@pytest.mark.parametrize("text", [b"NaN ", b"inf ", b"abcd", b"-inf", b"1,5 ", b"None"])
def test_a_window_that_is_no_number_does_so_too(text: bytes) -> None:
    radiograph = read_radiograph(
        dicom(WindowCenter="1234", WindowWidth="1234").replace(b"DS\x04\x001234", b"DS\x04\x00" + text)
    )

    assert np.array_equal(radiograph.pixels, PLAIN)
    assert radiograph.facts.flags == (Flag.WINDOW_IGNORED,)


def test_the_first_window_that_serves_is_shown() -> None:
    radiograph = read_radiograph(dicom(WindowCenter=[2000, 2000], WindowWidth=[0, 3000]))

    assert np.array_equal(radiograph.pixels, levels((FILM - 1999.5) / 2999 + 0.5))
    assert radiograph.facts.flags == ()


def padded(value: int) -> NDArray[np.int16]:
    film = FILM.astype(np.int16) - 2048
    film[:32] = value
    return film


@pytest.mark.parametrize(("vr", "value"), [("SS", -32000), ("US", 65536 - 32000), ("OW", b"\x00\x83")])
def test_padding_has_the_type_of_the_pixels_whatever_its_vr(vr: str, value: object) -> None:
    tags = {"PixelRepresentation": 1, "BitsStored": 16, "HighBit": 15}
    content = with_element(dicom(padded(-32000), **tags), "PixelPaddingValue", vr, value)

    pixels = read_radiograph(content).pixels

    assert (pixels[:32] == 0).all()
    assert np.array_equal(pixels[32:], by_range(FILM[32:]))


@pytest.mark.parametrize("vr", ["US", "SS"])
def test_the_other_end_of_the_padding_has_it_too(vr: str) -> None:
    film = padded(-32000)
    film[:10] = -31990
    content = dicom(film, PixelRepresentation=1, BitsStored=16, HighBit=15)
    for keyword, value in (("PixelPaddingValue", -32000), ("PixelPaddingRangeLimit", -31980)):
        content = with_element(content, keyword, vr, value % 65536 if vr == "US" else value)

    pixels = read_radiograph(content).pixels

    assert (pixels[:32] == 0).all()
    assert np.array_equal(pixels[32:], by_range(FILM[32:]))


def test_unsigned_padding_that_was_written_signed_is_found() -> None:
    film = FILM.copy()
    film[:32] = 65535
    content = with_element(dicom(film, BitsStored=16, HighBit=15), "PixelPaddingValue", "SS", -1)

    pixels = read_radiograph(content).pixels

    assert (pixels[:32] == 0).all()
    assert np.array_equal(pixels[32:], by_range(FILM[32:]))


def test_signed_padding_within_twelve_bits_is_found() -> None:
    content = with_element(dicom(padded(-2048), PixelRepresentation=1), "PixelPaddingValue", "US", 2048)

    pixels = read_radiograph(content).pixels

    assert (pixels[:32] == 0).all()


EXCESS: dict[str, tuple[bytes, bool]] = {
    "two zeros": (bytes(2), True),
    "less than a row of anything": (bytes(range(256)), True),
    "rows of filler": (bytes(2 * 256 * 200), True),
    "rows of another filler": (b"\xff" * 5000, True),
    "a row of anything": (bytes(range(256)) * 2, False),
    "half a film": (FILM.tobytes()[: 256 * 256], False),
    "another film": (FILM.tobytes(), False),
    "filler as long as a film": (bytes(2 * 256 * 256), False),
}


@pytest.mark.parametrize(("excess", "is_whole"), EXCESS.values(), ids=EXCESS)
def test_what_follows_the_pixels_is_dropped_unless_it_may_be_film(excess: bytes, is_whole: bool) -> None:
    content = dicom(PixelData=FILM.tobytes() + excess)

    if is_whole:
        radiograph = read_radiograph(content)
        assert np.array_equal(radiograph.pixels, PLAIN)
        assert radiograph.facts.flags == (Flag.STRAY_BYTES,)
    else:
        assert refuse(content) is ReasonCode.PIXEL_DATA_MISMATCH


def test_the_byte_that_makes_the_length_even_is_no_stray_one() -> None:
    odd = eight_bit()[:255, :255]

    radiograph = read_radiograph(dicom(odd, PixelData=odd.tobytes() + b"\0"))

    assert np.array_equal(radiograph.pixels, by_range(odd))
    assert radiograph.facts.flags == ()


def jp2_frame(*, boxes: Callable[[bytes], bytes] = lambda frame: frame) -> bytes:
    target = io.BytesIO()
    Image.fromarray(FILM).save(target, "JPEG2000")
    frame = boxes(target.getvalue())
    tags = {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "PixelData": encapsulate([frame])}
    return dicom(frame, syntax=JPEG2000Lossless, **tags)


def lengthen_last(frame: bytes) -> bytes:
    """The box of the codestream with its length in eight bytes (ISO/IEC 15444-1, I.4)."""
    start = frame.index(b"jp2c") - 4
    length = len(frame) - start + 8
    return frame[:start] + b"\0\0\0\1jp2c" + length.to_bytes(8, "big") + frame[start + 8 :]


def open_last(frame: bytes) -> bytes:
    """The box of the codestream reaching to the end, whatever its length."""
    start = frame.index(b"jp2c") - 4
    return frame[:start] + bytes(4) + frame[start + 4 :]


@pytest.mark.parametrize("boxes", [lambda frame: frame, lengthen_last, open_last])
def test_jpeg_2000_in_the_boxes_of_a_file_is_read(boxes: Callable[[bytes], bytes]) -> None:
    assert np.array_equal(read_radiograph(jp2_frame(boxes=boxes)).pixels, PLAIN)


def test_boxes_do_not_hide_a_bomb_nor_nothing() -> None:
    def claim(frame: bytes) -> bytes:
        size = frame.index(b"\xff\x4f\xff\x51") + 8
        return frame[:size] + (20_000).to_bytes(4, "big") * 2 + frame[size + 8 :]

    def rename(frame: bytes) -> bytes:
        return frame.replace(b"jp2c", b"jp2x")

    assert refuse(jp2_frame(boxes=claim)) is ReasonCode.CORRUPT_DICOM
    assert refuse(jp2_frame(boxes=rename)) is ReasonCode.CORRUPT_DICOM


@pytest.mark.parametrize(
    ("photometric", "shape", "flags"),
    [
        ("MONOCHROME1", "INVERSE", (Flag.INVERTED,)),
        ("MONOCHROME1", "IDENTITY", (Flag.INVERTED, Flag.PRESENTATION_IGNORED)),
        ("MONOCHROME2", "IDENTITY", ()),
        ("MONOCHROME2", "INVERSE", (Flag.PRESENTATION_IGNORED,)),
        ("MONOCHROME2", "", ()),
    ],
)
def test_the_photometric_tag_decides_and_a_shape_that_contradicts_it_is_flagged(
    photometric: str, shape: str, flags: tuple[Flag, ...]
) -> None:
    radiograph = read_radiograph(dicom(PhotometricInterpretation=photometric, PresentationLUTShape=shape))

    assert np.array_equal(radiograph.pixels, 255 - PLAIN if photometric == "MONOCHROME1" else PLAIN)
    assert radiograph.facts.flags == flags


def test_a_tag_of_a_wrong_length_is_a_corrupt_dicom_and_no_crash() -> None:
    dataset = dcmread(io.BytesIO(dicom()))
    for keyword, vr in (("Rows", "US"), ("PixelPaddingValue", "US"), ("BitsStored", "US")):
        tag = Tag(keyword)
        dataset._dict[tag] = RawDataElement(tag, vr, 3, b"abc", 0, False, True)

    assert refuse(save(dataset)) is ReasonCode.CORRUPT_DICOM


def outliers() -> dict[str, Callable[[NDArray[np.uint16]], None]]:
    def hot_pixel(film: NDArray[np.uint16]) -> None:
        film[3, 3] = 65535

    def dead_pixels(film: NDArray[np.uint16]) -> None:
        film[::50, ::50] = 0

    def marker(film: NDArray[np.uint16]) -> None:
        film[10:46, 10:46] = 65535

    def plate(film: NDArray[np.uint16]) -> None:
        film[10:80, 10:80] = 65535

    return {
        "a plate of 7 % at full scale": plate,
        "a hot pixel": hot_pixel,
        "dead pixels": dead_pixels,
        "a marker at full scale": marker,
    }


@pytest.mark.parametrize("spoil", outliers().values(), ids=outliers())
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_outliers_decide_nothing_the_film_beside_them_is_what_it_was(
    photometric: str, spoil: Callable[[NDArray[np.uint16]], None]
) -> None:
    film = FILM + np.uint16(8000)
    spoilt = film.copy()
    spoil(spoilt)
    is_film = spoilt == film
    tags = {"BitsStored": 16, "HighBit": 15, "PhotometricInterpretation": photometric}

    pixels, expected = (read_radiograph(dicom(each, **tags)).pixels.astype(int) for each in (spoilt, film))

    assert np.abs(pixels - expected)[is_film].max() <= 1  # the film's own extreme pixel may lie under a marker
    assert set(pixels[~is_film]) <= {0, 255}


def test_a_film_with_a_wide_black_border_keeps_its_range() -> None:
    bordered = np.pad(FILM, 200)

    assert np.array_equal(read_radiograph(dicom(bordered)).pixels, by_range(bordered))


def test_a_stray_byte_in_a_jpeg_frame_is_flagged() -> None:
    frame = jpeg_frame()
    place = frame.index(b"\xff\xdb")

    plain, stray = (
        read_radiograph(dicom(each, syntax=JPEGBaseline8Bit)) for each in (frame, frame[:place] + b"\0" + frame[place:])
    )

    assert np.array_equal(plain.pixels, stray.pixels)
    assert stray.facts.flags == (Flag.STRAY_BYTES,)
