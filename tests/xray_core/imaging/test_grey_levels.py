"""Masks and maps of labels are refused by their grey levels, whatever they are saved as; films are not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.dicom_files import dicom
from tests.hostile_files import encode, film, label_map
from xray_core.errors import UnreadableXray
from xray_core.imaging.radiograph import read_radiograph
from xray_core.records import ReasonCode

FEW = ReasonCode.FEW_GREY_LEVELS
MAPS = {
    "two levels": (0, 255),
    "two levels of ids": (0, 1),
    "two grey levels": (40, 90),
    "three": (0, 128, 255),
    "ids": tuple(range(5)),
    "many ids": tuple(range(20)),
    "ids far apart": tuple(range(0, 60, 4)),
    "eleven spread out": tuple(range(0, 255, 25)),
}


def refuse(content: bytes, draft_size: tuple[int, int] | None = None) -> ReasonCode | None:
    try:
        read_radiograph(content, draft_size=draft_size)
    except UnreadableXray as error:
        return error.reason
    return None


@pytest.mark.parametrize("side", [96, 256, 1024])
@pytest.mark.parametrize("levels", MAPS.values(), ids=MAPS)
def test_a_map_of_labels_is_no_film_in_any_size(levels: tuple[int, ...], side: int) -> None:
    picture = label_map(*levels, side=side)
    in_colour = np.stack([picture] * 3, axis=-1)

    assert refuse(encode(picture, "PNG")) is FEW
    assert refuse(encode(in_colour, "PNG"), (150, 150)) is FEW
    assert refuse(encode(Image.fromarray(picture).convert("P"), "PNG"), (150, 150)) is FEW
    assert refuse(encode(picture.astype(np.uint16), "PNG"), (150, 150)) is FEW
    assert refuse(dicom(picture), (150, 150)) is FEW


@pytest.mark.parametrize("quality", [50, 75, 95])
@pytest.mark.parametrize("side", [96, 256, 1024])
@pytest.mark.parametrize("levels", [(0, 255), (0, 128, 255)])
def test_a_mask_that_jpeg_has_blurred_is_still_a_mask(levels: tuple[int, ...], side: int, quality: int) -> None:
    content = encode(label_map(*levels, side=side), "JPEG", quality=quality)

    assert refuse(content) is FEW
    assert refuse(content, (150, 150)) is FEW


@pytest.mark.parametrize("side", [96, 256, 700])
def test_a_mask_with_smoothed_edges_is_still_a_mask(side: int) -> None:
    smooth = Image.fromarray(label_map(0, 255, side=2 * side + 7)).resize((side, side), Image.Resampling.BICUBIC)

    assert refuse(encode(smooth, "PNG")) is FEW


def saturated() -> NDArray[np.uint8]:
    """A film under a narrow window: a good third black, a good third white."""
    return np.clip((film(512, 512).astype(int) - 110) * 4, 0, 255).astype(np.uint8)


FILMS = {
    "ordinary": film,
    "of 12 levels": lambda: film() // 16 * 16,
    "small": lambda: film(64, 64),
    "faint": lambda: film() // 8 + 100,
    "under a narrow window": saturated,
    "mostly border": lambda: np.pad(film(300, 300), 100),
    "faint in a black border": lambda: np.pad(film(300, 300) // 6 + 150, 80),
}


@pytest.mark.parametrize("picture", FILMS.values(), ids=FILMS)
@pytest.mark.parametrize("draft_size", [None, (150, 150)])
def test_an_odd_film_is_none(picture: object, draft_size: tuple[int, int] | None) -> None:
    assert callable(picture)
    assert refuse(encode(picture(), "PNG"), draft_size) is None
    assert refuse(encode(picture(), "JPEG", quality=75), draft_size) is None


def test_a_blank_page_with_a_mark_has_no_contrast_as_before() -> None:
    page = np.full((256, 256), 250, dtype=np.uint8)
    page[20:22, 20:60] = 0
    noisy = np.random.default_rng(2).integers(248, 253, (256, 256), dtype=np.uint8)

    assert refuse(encode(page, "PNG")) is ReasonCode.NO_CONTRAST
    assert refuse(encode(noisy, "PNG")) is ReasonCode.NO_CONTRAST


def test_the_refusal_says_what_the_picture_looks_like() -> None:
    with pytest.raises(UnreadableXray, match="a mask or a map of labels"):
        read_radiograph(encode(label_map(0, 255), "PNG"))
