from __future__ import annotations

from unicodedata import normalize

import pytest

from xray_core.exchange.file_names import find_longer, looks_rewritten, match_names

DECOMPOSED = normalize("NFD", "Müller-1.png")
COMPOSED = normalize("NFC", "Müller-1.png")


@pytest.mark.parametrize(
    ("wanted", "known"),
    [
        ("a.png", "a.png"),
        (COMPOSED, DECOMPOSED),
        (DECOMPOSED, COMPOSED),
        ("COVID-1.PNG", "covid-1.png"),
        ("covid-1", "COVID-1.jpeg"),
        ("STRASSE.dcm", "straße.dcm"),
        ("dataset/a.png", "a.png"),
        ("C:\\films\\a.png", "a.png"),
        ("/data/upload/3/1a2b3c4d-a.png", "a.png"),
        ("/data/local-files/?d=films%2Fa%20b.png", "a b.png"),
        ("https://tool.example/films/a.png", "a.png"),
    ],
)
def test_a_name_is_found_in_the_form_that_a_program_gave_it(wanted: str, known: str) -> None:
    assert match_names([wanted], [known, "other.png"]) == {wanted: {known}}


def test_the_very_name_counts_alone() -> None:
    assert match_names(["a.png"], ["A.png", "a.png", "a.PNG", "a"]) == {"a.png": {"a.png"}}


def test_what_fits_several_files_is_not_guessed() -> None:
    assert match_names(["a"], ["a.png", "A.dcm"]) == {"a": {"a.png", "A.dcm"}}


def test_two_names_never_come_to_mean_one_file_by_likeness() -> None:
    assert match_names(["p1/1.png", "p2/1.png"], ["1.png"]) == {"p1/1.png": set(), "p2/1.png": set()}


def test_an_ending_that_is_no_pictures_is_part_of_the_name() -> None:
    assert match_names(["scan.2"], ["scan.3", "scan"]) == {"scan.2": set()}


def test_what_a_spreadsheet_made_of_a_name_is_told() -> None:
    assert all(map(looks_rewritten, ("02. Jan", "1.2.2026", "1,23457E+11", "Jan 02", "02/01/26", "Mrz 26")))
    assert not any(map(looks_rewritten, ("12345", "a.png", "1-2.png", "IM0001", "1.2.840.10008.1")))


def test_a_number_that_may_have_lost_its_zeros_is_told() -> None:
    known = ["covid/00012345", "0777.png", "888", "0x9"]

    assert find_longer(["12345", "777", "888", "9", "12345.png"], known) == {
        "12345": "covid/00012345",
        "777": "0777.png",
    }
    assert find_longer(["12345", "0888"], known) == {}
