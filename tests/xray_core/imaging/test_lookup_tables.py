"""Lookup tables in all the forms that are sent; the right picture is computed with numpy alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.uid import ImplicitVRLittleEndian

from tests.dicom_files import dicom, stored_film
from xray_core.imaging.lookup_tables import read_lookup_table
from xray_core.imaging.radiograph import read_radiograph
from xray_core.imaging.records import Flag, ScaleRule


def table_item(descriptor: object, data: object, *, descriptor_vr: str = "US", data_vr: str = "US") -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", descriptor_vr, descriptor)
    item.add_new("LUTData", data_vr, data)
    return item


def curve(entries: int, most: int) -> NDArray[np.int64]:
    """A table that rises in a bent line from 0 to `most`."""
    return np.rint(most * np.sqrt(np.arange(entries) / (entries - 1))).astype(np.int64)


def levels(shares: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.rint(np.clip(shares, 0, 1) * 255)


def by_range(values: NDArray[np.integer]) -> NDArray[np.floating]:
    return levels((values - values.min()) / (values.max() - values.min()))


def words(table: NDArray[np.int64]) -> bytes:
    return table.astype("<u2").tobytes()


def show(**tags: object) -> NDArray[np.uint8]:
    return read_radiograph(dicom(**tags)).pixels


@pytest.mark.parametrize("bits", range(10, 17))
def test_a_modality_table_of_any_depth_is_looked_up(bits: int) -> None:
    table = curve(4096, 2**bits - 1)

    pixels = show(ModalityLUTSequence=[table_item([4096, 0, bits], table.tolist())])

    assert np.array_equal(pixels, by_range(table[stored_film()]))


@pytest.mark.parametrize("declared", [10, 12, 16])
@pytest.mark.parametrize("held", [10, 12, 14, 16])
def test_a_voi_table_is_white_at_its_largest_entry_whatever_it_declares(declared: int, held: int) -> None:
    table = curve(4096, 2**held - 1)

    radiograph = read_radiograph(dicom(VOILUTSequence=[table_item([4096, 0, declared], table.tolist())]))

    assert np.array_equal(radiograph.pixels, levels(table[stored_film()] / table.max()))
    assert (radiograph.facts.scale_rule, radiograph.facts.flags) == (ScaleRule.VOI, ())


FORMS_OF_EIGHT_BITS = {
    "a word each": lambda table: table_item([4096, 0, 8], table.tolist()),
    "a word each as bytes": lambda table: table_item([4096, 0, 8], words(table), data_vr="OW"),
    "two to a word": lambda table: table_item([4096, 0, 8], table.astype("u1").tobytes(), data_vr="OW"),
    "two to a word as numbers": lambda table: table_item(
        [4096, 0, 8], np.frombuffer(table.astype("u1").tobytes(), "<u2").tolist()
    ),
    "two to a word and 16 declared": lambda table: table_item(
        [4096, 0, 16], table.astype("u1").tobytes(), data_vr="OW"
    ),
}


@pytest.mark.parametrize("form", FORMS_OF_EIGHT_BITS.values(), ids=FORMS_OF_EIGHT_BITS)
@pytest.mark.parametrize("kind", ["ModalityLUTSequence", "VOILUTSequence"])
@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian])
def test_eight_bits_are_read_in_whatever_packing(form: object, kind: str, syntax: str | None) -> None:
    assert callable(form)
    table = curve(4096, 255)
    given = {"syntax": syntax} if syntax else {}

    pixels = show(**{kind: [form(table)]}, **given)

    looked_up = table[stored_film()]
    assert np.array_equal(pixels, by_range(looked_up) if kind.startswith("M") else levels(looked_up / 255))


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian])
def test_a_table_of_65536_entries_says_0_and_needs_another_vr(syntax: str | None) -> None:
    table = curve(65536, 65535)
    given = {"syntax": syntax} if syntax else {}

    pixels = show(VOILUTSequence=[table_item([0, 0, 16], words(table), data_vr="OW")], **given)

    assert np.array_equal(pixels, levels(table[stored_film()] / table.max()))


@pytest.mark.parametrize(("vr", "first"), [("SS", -2000), ("US", 65536 - 2000)])
def test_the_first_value_has_the_sign_of_the_pixels_whatever_its_vr(vr: str, first: int) -> None:
    signed = stored_film().astype(np.int16) - 2000
    table = curve(4096, 4095)
    for kind in ("ModalityLUTSequence", "VOILUTSequence"):
        item = table_item([4096, first, 12], table.tolist(), descriptor_vr=vr)

        pixels = read_radiograph(dicom(signed, PixelRepresentation=1, **{kind: [item]})).pixels

        looked_up = table[stored_film()]
        assert np.array_equal(pixels, by_range(looked_up) if kind.startswith("M") else levels(looked_up / 4095))


def test_a_first_value_above_32767_of_unsigned_pixels_stays_what_it_is() -> None:
    high = stored_film() + np.uint16(40_000)
    table = curve(4096, 4095)

    content = dicom(high, BitsStored=16, HighBit=15, VOILUTSequence=[table_item([4096, 40_000, 12], table.tolist())])

    assert np.array_equal(read_radiograph(content).pixels, levels(table[stored_film()] / 4095))


def test_a_voi_table_looks_up_what_the_rescale_makes_signed() -> None:
    table = curve(4096, 4095)
    item = table_item([4096, 65536 - 1024, 12], table.tolist())

    pixels = show(RescaleSlope=1, RescaleIntercept=-1024, VOILUTSequence=[item])

    assert np.array_equal(pixels, levels(table[stored_film()] / 4095))


def test_values_outside_a_table_are_given_its_ends() -> None:
    table = curve(2000, 4000)

    pixels = show(ModalityLUTSequence=[table_item([2000, 500, 12], table.tolist())])

    places = np.clip(stored_film().astype(int) - 500, 0, 1999)
    assert np.array_equal(pixels, by_range(table[places]))


@pytest.mark.parametrize("declared", [4096, 4095, 4000, 0])
def test_a_table_that_is_longer_or_shorter_than_declared_ends_where_it_ends(declared: int) -> None:
    table = curve(4096, 4095)

    pixels = show(VOILUTSequence=[table_item([declared, 0, 12], words(table), data_vr="OW")])

    cut = table[: declared or 4096]
    places = np.clip(stored_film().astype(int), 0, cut.size - 1)
    assert np.array_equal(pixels, levels(cut[places] / cut.max()))


@pytest.mark.parametrize("kind", ["ModalityLUTSequence", "VOILUTSequence"])
def test_a_table_without_entries_is_absent(kind: str) -> None:
    empty = [[], [Dataset()], [table_item(None, None)], [table_item([4096, 0, 12], None, data_vr="OW")]]

    for items in empty:
        assert np.array_equal(show(**{kind: items}), by_range(stored_film()))


def test_the_first_item_that_holds_a_table_counts() -> None:
    table = curve(4096, 4095)
    items = [Dataset(), table_item([4096, 0, 12], table.tolist()), table_item([4096, 0, 12], table[::-1].tolist())]

    assert np.array_equal(show(VOILUTSequence=items), levels(table[stored_film()] / 4095))


def test_a_table_of_no_use_gives_way_to_the_window_and_that_to_the_range() -> None:
    zeros = table_item([4096, 0, 12], [0] * 4096)
    two = table_item([4096, 0], list(range(4096)))
    for item in (zeros, two):
        windowed = read_radiograph(dicom(VOILUTSequence=[item], WindowCenter=2000, WindowWidth=3000))
        alone = read_radiograph(dicom(VOILUTSequence=[item]))

        assert np.array_equal(windowed.pixels, show(WindowCenter=2000, WindowWidth=3000))
        assert windowed.facts.flags == ()
        assert np.array_equal(alone.pixels, by_range(stored_film()))
        assert alone.facts.flags == (Flag.WINDOW_IGNORED,)


def test_a_table_without_items_is_none() -> None:
    assert read_lookup_table(dcmread(io.BytesIO(dicom())), "VOILUTSequence") is None
