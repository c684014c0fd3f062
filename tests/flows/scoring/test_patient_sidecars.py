"""Whose a film is may stand beside it, where the settings say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.home.site_key import pseudonym, read_site_key
from flows.operations.verification import find_breach
from flows.review.patient_import import import_patients, read_patient_tally
from flows.settings import Settings, read_settings
from tests.dicom_files import dicom
from tests.flows.scoring.test_scan import drop_xrays, read_lines, scan
from xray_core.records import FileState, PatientSource, ReasonCode


@pytest.fixture
def with_sidecars(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("XRAY_PATIENT_FROM", "sidecar")
    changed = settings.but({"patient_from": PatientSource.SIDECAR})
    assert read_settings().patient_from is PatientSource.SIDECAR
    return changed


def put_beside(film: Path, words: str | bytes) -> None:
    content = words if isinstance(words, bytes) else words.encode()
    film.with_name(f"{film.name}.patient").write_bytes(content)


def whose(settings: Settings) -> dict[str, str | None]:
    return {name: line.patient for name, line in read_lines(settings).items()}


def test_the_patient_that_stands_beside_a_film_is_its_patient(with_sidecars: Settings) -> None:
    settings, key = with_sidecars, read_site_key(with_sidecars)
    first, second, placeholder, bare = drop_xrays(settings.incoming_dir, 4)
    put_beside(first, "P1\n")
    put_beside(second, b"\xef\xbb\xbf J\xc3\xbcrgen 2 \r\n")
    put_beside(placeholder, "ANONYMOUS")

    scan(settings)

    assert whose(settings) == {
        first.name: pseudonym(key, "P1"),
        second.name: pseudonym(key, "J\xfcrgen 2"),
        placeholder.name: None,
        bare.name: None,
    }
    assert scan(settings).files == 0
    assert find_breach(settings)[0] is None


@pytest.mark.parametrize("words", [b"", b"\xff\xfe", b"P1\nP2\n", b"x" * 2000])
def test_a_film_waits_for_a_sidecar_that_cannot_be_read(with_sidecars: Settings, words: bytes) -> None:
    (film,) = drop_xrays(with_sidecars.incoming_dir, 1)
    put_beside(film, words)

    scan(with_sidecars)

    line = read_lines(with_sidecars)[film.name]
    assert (line.state, line.reason_code) == (FileState.DEFERRED, ReasonCode.UNREADABLE)


def test_it_counts_over_the_header_and_a_csv_over_both(with_sidecars: Settings, tmp_path: Path) -> None:
    settings, key = with_sidecars, read_site_key(with_sidecars)
    film = settings.incoming_dir / "a.dcm"
    film.write_bytes(dicom(PatientID="HEADER"))
    put_beside(film, "SIDECAR")
    scan(settings)
    by_sidecar = whose(settings)
    csv = tmp_path / "patients.csv"
    csv.write_text("filename,patient_id\na.dcm,CSV\n")
    import_patients(settings, csv)
    again = film.with_name("again.dcm")
    again.write_bytes(film.read_bytes())
    put_beside(again, "SIDECAR 2")
    scan(settings)

    assert by_sidecar == {"a.dcm": pseudonym(key, "SIDECAR")}
    assert whose(settings) == dict.fromkeys(("a.dcm", "again.dcm"), pseudonym(key, "CSV"))
    tally, _ = read_patient_tally(settings)
    assert (tally.patients, tally.against_header, tally.corrected) == (1, 1, 1)
    assert find_breach(settings)[0] is None


def test_a_sidecar_of_an_earlier_film_under_the_name_says_nothing_of_the_next(with_sidecars: Settings) -> None:
    settings = with_sidecars
    for seed in (1, 2):
        (film,) = drop_xrays(settings.incoming_dir, 1, seed=seed)
        film = film.rename(film.with_name("IM1.png"))
        if seed == 1:
            put_beside(film, "P1")
        scan(settings)
    stale = whose(settings)
    (film,) = drop_xrays(settings.incoming_dir, 1, seed=3)
    film = film.rename(film.with_name("IM1.png"))
    put_beside(film, "P3")
    scan(settings)

    assert stale == {"IM1.png": None}
    assert whose(settings) == {"IM1.png": pseudonym(read_site_key(settings), "P3")}


def test_without_the_setting_it_is_a_file_that_is_no_film_and_is_said(settings: Settings) -> None:
    (film,) = drop_xrays(settings.incoming_dir, 1)
    put_beside(film, "P1")

    scan(settings)

    assert read_lines(settings)[f"{film.name}.patient"].reason_code is ReasonCode.UNSUPPORTED_FORMAT
    assert read_lines(settings)[film.name].patient is None
