"""A reader sees every grey level that a file holds, upright and in the window that the file asks for."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.dicom_files import dicom, stored_film
from tests.xray_core.reading.scripts import unpack_film
from xray_core.errors import UnreadableXray
from xray_core.imaging.grey_range import DeepPicture
from xray_core.imaging.limits import ImageLimits
from xray_core.imaging.radiograph import read_radiograph
from xray_core.reading.deep_film import read_deep_film
from xray_core.reading.film_script import write_call, write_film_script

_SIGMOID = {"WindowCenter": 2000, "WindowWidth": 1500, "VOILUTFunction": "SIGMOID"}


def _png(values: NDArray[np.uint16], **options: object) -> bytes:
    target = io.BytesIO()
    Image.fromarray(values).save(target, "PNG", **options)
    return target.getvalue()


def _show(film: DeepPicture) -> NDArray[np.float64]:
    if film.curve is not None:
        return film.curve[film.values].astype(np.float64)
    return np.clip((film.values.astype(np.float64) - film.low) / (film.high - film.low), 0, 1) * 255


def test_all_levels_of_a_dicom_file_reach_the_reader() -> None:
    film = read_deep_film(dicom(), ImageLimits())
    stored = stored_film()
    assert np.array_equal(film.values, stored - stored.min())


def test_rescaled_values_keep_all_their_levels_also_between_whole_numbers() -> None:
    film = read_deep_film(dicom(RescaleSlope="0.37", RescaleIntercept="-12.5"), ImageLimits())
    assert np.unique(film.values).size == np.unique(stored_film()).size


@pytest.mark.parametrize("interpretation", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("window", [{}, {"WindowCenter": 2000, "WindowWidth": 1500}, _SIGMOID])
def test_before_anybody_windows_it_a_film_looks_as_the_scoring_sees_it(
    interpretation: str, window: dict[str, object]
) -> None:
    content = dicom(PhotometricInterpretation=interpretation, **window)
    shown = _show(read_deep_film(content, ImageLimits()))
    assert np.abs(shown - read_radiograph(content).pixels).max() <= 3


def test_padding_is_black_and_no_part_of_the_window() -> None:
    stored = stored_film().copy()
    stored[:40] = 0
    film = read_deep_film(dicom(stored, PixelPaddingValue=0, PhotometricInterpretation="MONOCHROME1"), ImageLimits())
    assert not film.values[:40].any()
    assert film.high <= int(stored.max())


def test_all_levels_of_a_png_of_16_bits_reach_the_reader() -> None:
    film = read_deep_film(_png(stored_film()), ImageLimits())
    assert np.array_equal(film.values, stored_film())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_deep_png_is_turned_upright_as_the_scoring_turns_it(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = _png(stored_film()[:, :200], exif=exif)
    shown = _show(read_deep_film(content, ImageLimits()))
    assert np.abs(shown - read_radiograph(content).pixels).max() <= 1


def test_a_film_of_8_bits_is_shown_as_it_is() -> None:
    grey = (stored_film() >> 4).astype(np.uint8)
    target = io.BytesIO()
    Image.fromarray(grey).save(target, "PNG")
    film = read_deep_film(target.getvalue(), ImageLimits())
    assert np.array_equal(film.values, grey)
    assert (film.low, film.high) == (0, 255)


def test_what_is_no_film_is_refused_with_its_reason() -> None:
    with pytest.raises(UnreadableXray, match="TRUNCATED"):
        read_deep_film(_png(stored_film())[:-200], ImageLimits())


def test_a_script_gives_back_the_very_values() -> None:
    values = np.random.default_rng(1).integers(0, 2**16, (37, 53), dtype=np.uint16)
    script = write_film_script("7", DeepPicture(values, 0, 2**16 - 1))
    assert np.array_equal(unpack_film(script), values)


def test_no_value_can_end_a_script_or_its_string() -> None:
    script = write_call("missing", 'a"); alert("b', "</script><!--")
    assert script == b'Xray.missing("a\\"); alert(\\"b", "\\u003c/script>\\u003c!--");\n'
