"""Models of the first rules keep their very pixels, wrong ones too."""

from __future__ import annotations

import numpy as np
import pytest

from tests.dicom_files import dicom, stored_film, voi_table
from tests.xray_core.imaging.test_display import with_element
from tests.xray_core.imaging.test_lookup_tables import by_range, curve, levels, table_item
from xray_core.imaging.radiograph import Radiograph, read_radiograph
from xray_core.imaging.records import GreyRules, Preprocessing, Scaling

FILM = stored_film()


def read(**tags: object) -> Radiograph:
    return read_radiograph(dicom(**tags), rules=GreyRules.V1)


def test_a_version_names_its_rules() -> None:
    assert Preprocessing(150, 150, 3, Scaling.UNIT).version == "v2-150x150x3-unit"
    assert Preprocessing(150, 150, 3, Scaling.UNIT, rules=GreyRules.V1).version == "v1-150x150x3-unit"


def test_the_range_is_from_the_least_to_the_largest_value() -> None:
    hot = FILM.copy()
    hot[3, 3] = 12_000

    pixels = read_radiograph(dicom(hot, BitsStored=16, HighBit=15), rules=GreyRules.V1).pixels

    assert np.array_equal(pixels, levels((hot - 1.0 * hot.min()) / (12_000 - hot.min())))


def test_a_table_is_white_at_its_declared_bits() -> None:
    table = curve(4096, 2**14 - 1)

    pixels = read(VOILUTSequence=[table_item([4096, 0, 16], table.tolist())]).pixels

    assert np.array_equal(pixels, levels(table[FILM] / 65535))


def test_padding_is_compared_as_it_is_written() -> None:
    padded = FILM.astype(np.int16) - 2048
    padded[:32] = -3000
    signed = dicom(padded, PixelRepresentation=1, BitsStored=16, HighBit=15)
    content = with_element(signed, "PixelPaddingValue", "US", 65536 - 3000)

    pixels = read_radiograph(content, rules=GreyRules.V1).pixels

    assert np.array_equal(pixels, by_range(padded))


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"WindowCenter": 2000, "WindowWidth": 3000},
        {
            "WindowCenter": 2000,
            "WindowWidth": 3000,
            "VOILUTFunction": "SIGMOID",
            "RescaleSlope": 1,
            "RescaleIntercept": 3,
        },
        {"VOILUTSequence": [voi_table(entries=4096, bits=12)], "PhotometricInterpretation": "MONOCHROME1"},
        {"PixelPaddingValue": 1, "PixelPaddingRangeLimit": 300},
    ],
)
def test_ordinary_films_look_alike_by_both(tags: dict[str, object]) -> None:
    assert np.array_equal(read(**tags).pixels, read_radiograph(dicom(**tags)).pixels)


def test_what_they_never_scored_is_shown_by_todays_rules() -> None:
    table = curve(4096, 4095)
    refused_then = [
        {"WindowCenter": 2000, "WindowWidth": 0},
        {"ModalityLUTSequence": [table_item([4096, 0, 12], table.tolist())]},
        {"RescaleSlope": "", "RescaleIntercept": 3},
    ]

    for tags in refused_then:
        assert np.array_equal(read(**tags).pixels, read_radiograph(dicom(**tags)).pixels)
