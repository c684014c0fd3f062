from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from tests.dicom_files import dicom, eight_bit, stored_film, voi_table
from tests.films import FILMS
from xray_core.errors import UnreadableXray
from xray_core.imaging.radiograph import Radiograph, read_radiograph
from xray_core.imaging.records import Flag, ScaleRule
from xray_core.records import FileFormat, ReasonCode

DICOM = FILMS / "dicom"

OUTCOMES = {
    "1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm": None,
    "Fake_MONOHR1.dcm": None,
    "RG1_J2KI.dcm": None,
    "RG1_JLSN.dcm": None,
    "nih_test1.dcm": None,
    "nih_test2.dcm": None,
    "nih_test5.dcm": ReasonCode.WRONG_MODALITY,
    "RG3_UNC": ReasonCode.WRONG_BODY_PART,
    "RG3_RLE": ReasonCode.WRONG_BODY_PART,
    "RG3_JPLL": ReasonCode.WRONG_BODY_PART,
    "RG3_JPLY": ReasonCode.UNSUPPORTED_TRANSFER_SYNTAX,
    "dx_image.dcm": ReasonCode.WRONG_BODY_PART,
}


@pytest.mark.films
@pytest.mark.parametrize(("name", "outcome"), OUTCOMES.items())
def test_each_real_file_gets_its_outcome(name: str, outcome: ReasonCode | None) -> None:
    try:
        radiograph = read_radiograph((DICOM / name).read_bytes(), name_ending=Path(name).suffix)
        received = None
        assert radiograph.pixels.shape == (radiograph.facts.height, radiograph.facts.width)
        assert Flag.EXTENSION_MISMATCH not in radiograph.facts.flags
    except UnreadableXray as error:
        received = error.reason

    assert received is outcome


@pytest.mark.films
def test_the_same_film_in_three_transfer_syntaxes_gives_the_same_pixels() -> None:
    uncompressed, run_length, lossless = (_as_chest(DICOM / name).pixels for name in ("RG3_UNC", "RG3_RLE", "RG3_JPLL"))

    assert uncompressed.shape == (1760, 1760)
    assert np.array_equal(uncompressed, run_length)
    assert np.array_equal(uncompressed, lossless)


@pytest.mark.films
def test_two_lossy_syntaxes_of_one_film_give_nearly_the_same_pixels() -> None:
    wavelet, near_lossless = (read_radiograph((DICOM / name).read_bytes()) for name in ("RG1_J2KI.dcm", "RG1_JLSN.dcm"))

    difference = np.abs(wavelet.pixels.astype(int) - near_lossless.pixels.astype(int))
    assert difference.mean() < 1
    assert wavelet.dhash == near_lossless.dhash


@pytest.mark.films
def test_a_changed_photometric_tag_turns_the_picture_into_its_negative() -> None:
    film = read_radiograph((DICOM / "1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm").read_bytes())
    negative = read_radiograph((DICOM / "Fake_MONOHR1.dcm").read_bytes())

    assert np.array_equal(film.pixels, 255 - negative.pixels)
    assert Flag.INVERTED in negative.facts.flags


def _as_chest(path: Path) -> Radiograph:
    dataset = dcmread(path)
    dataset.BodyPartExamined = "CHEST"
    target = io.BytesIO()
    dataset.save_as(target)
    return read_radiograph(target.getvalue())


def test_the_tags_that_are_kept_are_the_harmless_ones() -> None:
    radiograph = read_radiograph(dicom(), name_ending=".dcm")

    facts = radiograph.facts
    assert facts.file_format is FileFormat.DICOM
    assert (facts.view, facts.sex, facts.age_group) == ("PA", "F", "60-79")
    assert facts.mode == "MONOCHROME2 12/16"
    assert facts.flags == ()
    assert radiograph.identifiers.patient == "ZZCANARY-7"
    assert "ZZCANARY" not in repr(radiograph)


@pytest.mark.parametrize(
    ("tags", "view", "sex", "age_group"),
    [
        ({"ViewPosition": "ZZCANARY", "PatientSex": "ZZCANARY", "PatientAge": "ZZCANARY"}, None, None, None),
        ({"ViewPosition": "ll", "PatientSex": "m", "PatientAge": "018M"}, "LL", "M", "under 18"),
        ({"ViewPosition": None, "PatientPosition": "AP", "PatientAge": "45"}, "AP", "F", "40-59"),
        ({"ViewPosition": "", "PatientSex": "", "PatientAge": "104Y"}, None, None, "80 and over"),
    ],
)
def test_free_text_in_a_coded_tag_is_dropped(
    tags: dict[str, object], view: str | None, sex: str | None, age_group: str | None
) -> None:
    facts = read_radiograph(dicom(**tags)).facts

    assert (facts.view, facts.sex, facts.age_group) == (view, sex, age_group)


def test_without_a_window_the_darkest_value_is_0_and_the_brightest_255() -> None:
    radiograph = read_radiograph(dicom())

    stored = stored_film().astype(float)
    expected = np.rint((stored - stored.min()) / (stored.max() - stored.min()) * 255)
    assert np.array_equal(radiograph.pixels, expected)
    assert radiograph.facts.scale_rule is ScaleRule.FULL_RANGE


def test_a_window_is_applied_after_the_rescale_and_inverted_after_that() -> None:
    tags = {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 1500, "WindowWidth": 2001}

    film = read_radiograph(dicom(**tags))
    negative = read_radiograph(dicom(PhotometricInterpretation="MONOCHROME1", **tags))

    rescaled = stored_film().astype(float) * 2 - 1000
    expected = np.rint(np.clip((rescaled - 1499.5) / 2000 + 0.5, 0, 1) * 255)
    assert np.array_equal(film.pixels, expected)
    assert np.array_equal(negative.pixels, 255 - expected)
    assert film.facts.scale_rule is ScaleRule.VOI


def test_a_window_is_not_turned_over_by_a_negative_slope() -> None:
    radiograph = read_radiograph(dicom(RescaleSlope=-1, RescaleIntercept=4095, WindowCenter=2048, WindowWidth=4096))

    brightest = np.unravel_index(stored_film().argmax(), stored_film().shape)
    assert radiograph.pixels[brightest] < 40


def test_a_lookup_table_goes_before_a_window() -> None:
    straight = [voi_table(entries=4096, bits=12)]

    radiograph = read_radiograph(dicom(VOILUTSequence=straight, WindowCenter=5, WindowWidth=2))

    expected = np.rint(stored_film() / 4095 * 255)
    assert np.abs(radiograph.pixels - expected).max() <= 1


def test_signed_values_keep_their_order() -> None:
    signed = stored_film().astype(np.int16) - 2000

    radiograph = read_radiograph(dicom(signed, PixelRepresentation=1))

    assert np.array_equal(radiograph.pixels, read_radiograph(dicom()).pixels)


def test_bits_above_those_stored_are_ignored() -> None:
    with_overlay = stored_film() | 0x8000

    radiograph = read_radiograph(dicom(with_overlay))

    assert np.array_equal(radiograph.pixels, read_radiograph(dicom()).pixels)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_does_not_count_for_the_range(photometric: str) -> None:
    padded = np.clip(stored_film(), 1000, 3000)
    padded[:40] = 4000

    radiograph = read_radiograph(
        dicom(padded, PixelPaddingValue=3900, PixelPaddingRangeLimit=4095, PhotometricInterpretation=photometric)
    )

    assert (radiograph.pixels[:40] == 0).all()
    assert radiograph.pixels[40:].min() == 0
    assert radiograph.pixels[40:].max() == 255


def test_eight_and_sixteen_bits_of_one_film_look_alike() -> None:
    difference = read_radiograph(dicom()).pixels.astype(int) - read_radiograph(dicom(eight_bit())).pixels

    assert np.abs(difference).max() <= 3


@pytest.mark.parametrize("body_part", ["CHEST", "thorax", "PORT CHEST", "TORAX", "LUNG", "", None])
def test_a_chest_by_any_name_is_taken(body_part: str | None) -> None:
    assert read_radiograph(dicom(BodyPartExamined=body_part)).facts.file_format is FileFormat.DICOM


@pytest.mark.parametrize("written", ["monochrome1", " MONOCHROME1 ", "Monochrome1"])
def test_a_photometric_tag_in_small_letters_means_the_same(written: str) -> None:
    plain = read_radiograph(dicom(PhotometricInterpretation="MONOCHROME1"))

    found = read_radiograph(dicom(PhotometricInterpretation=written))

    assert np.array_equal(found.pixels, plain.pixels)
    assert found.facts == plain.facts


def test_a_refusal_quotes_no_tag() -> None:
    hostile = [
        dicom(BodyPartExamined="ZZCANARY"),
        dicom(Modality="ZZCANARY"),
        dicom(PhotometricInterpretation="ZZCANARY"),
        dicom(RescaleSlope="7.250000", RescaleIntercept=0).replace(b"7.250000", b"ZZCANARY"),
    ]

    for content in hostile:
        with pytest.raises(UnreadableXray) as refused:
            read_radiograph(content)
        assert "ZZCANARY" not in str(refused.value)
        assert refused.value.__cause__ is None
