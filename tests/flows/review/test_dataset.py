"""Registering a dataset: whose its films are, what is no film, and that all of it is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from db.engine import open_engine, snapshot
from db.reading import labelled
from flows.home.ledger import find_anchor
from flows.home.site_key import pseudonym, read_site_key
from flows.operations.status import read_status
from flows.operations.verification import find_breach
from flows.review.dataset import Registration, register_dataset
from flows.review.patient_import import import_patients, read_patient_tally
from flows.settings import Settings
from tests.dicom_files import dicom
from xray_core.exchange.dataset_folder import read_dataset_folder
from xray_core.promotion.policy import LabelRules
from xray_core.records import Label, LabelledXray


def register(settings: Settings, folder: Path, patients: Path | None = None) -> Registration:
    found = read_dataset_folder(folder, settings.class_names, patients)
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    try:
        return register_dataset(settings, engine, found, on_progress=lambda _: None)
    finally:
        engine.dispose()


def read_labelled(settings: Settings) -> list[LabelledXray]:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with snapshot(engine) as session:
        found = labelled.read_labelled(session, LabelRules())
    engine.dispose()
    return found


def put_films(folder: Path, per_class: int, *, patient: str) -> Path:
    for label in (Label.COVID, Label.NORMAL):
        (folder / label.value).mkdir(parents=True)
        for number in range(per_class):
            film = folder / label.value / f"{label.value}-{number}.dcm"
            film.write_bytes(dicom(PatientID=patient.format(number), InstanceNumber=100 * len(label.value) + number))
    return folder


def put_masks(folder: Path, count: int) -> None:
    """Masks as segmentation sets have them: two levels, some of them smoothed into a few at the edges by JPEG."""
    folder.mkdir(parents=True)
    rows, columns = np.mgrid[:256, :256]
    for number in range(count):
        lungs = ((columns - 80) / 40) ** 2 + ((rows - 128 - number) / 80) ** 2 < 1
        Image.fromarray((lungs * 255).astype(np.uint8)).save(folder / f"mask-{number}.png")


def test_a_header_that_contradicts_the_patients_csv_is_counted_and_the_csv_counts(
    settings: Settings, tmp_path: Path
) -> None:
    folder = put_films(tmp_path / "d", 2, patient="HEADER-{}")
    csv = tmp_path / "patients.csv"
    csv.write_text("filename,patient_id\ncovid-0.dcm,CSV\nnormal-0.dcm,HEADER-0\n")

    done = register(settings, folder, csv)

    key = read_site_key(settings)
    assert (done.xrays, done.against_header, done.unknown_patients) == (4, 1, 0)
    named = {xray.path.path: (xray.group, xray.former_groups) for xray in read_labelled(settings)}
    assert named["covid/covid-0.dcm"] == (pseudonym(key, "CSV"), (pseudonym(key, "HEADER-0"),))
    assert named["normal/normal-0.dcm"] == (pseudonym(key, "HEADER-0"), ())
    tally, _ = read_patient_tally(settings)
    assert (tally.against_header, tally.corrected) == (1, 0)
    assert find_breach(settings)[0] is None
    assert register(settings, folder, csv).other_patients == 0


def test_a_dataset_s_own_csv_counts_over_what_was_said_of_a_name_before(settings: Settings, tmp_path: Path) -> None:
    folder = put_films(tmp_path / "d", 1, patient="")
    csv = tmp_path / "patients.csv"
    csv.write_text("filename,patient_id\ncovid-0.dcm,EARLIER\nnormal-0.dcm,EARLIER\n")
    import_patients(settings, csv)
    csv.write_text("filename,patient_id\ncovid-0.dcm,NOW\n")

    register(settings, folder, csv)

    key = read_site_key(settings)
    assert {xray.path.path: xray.group for xray in read_labelled(settings)} == {
        "covid/covid-0.dcm": pseudonym(key, "NOW"),
        "normal/normal-0.dcm": pseudonym(key, "EARLIER"),
    }


def test_an_id_of_all_films_is_said_and_counts_as_unknown(settings: Settings, tmp_path: Path) -> None:
    done = register(settings, put_films(tmp_path / "d", 8, patient="STATION-1"))

    assert (done.xrays, done.doubted) == (16, 16)
    assert read_patient_tally(settings)[1] == 16
    assert "  16 labelled X-rays carry ids that cannot be one person's: unknown too" in read_status(settings).lines()


@pytest.mark.keras
def test_train_says_how_the_csv_fits_what_was_kept_out_and_whom_it_doubts(settings: Settings, tmp_path: Path) -> None:
    folder = put_films(tmp_path / "d", 8, patient="STATION-1")
    put_masks(folder / "covid" / "masks", 3)
    put_masks(folder / "normal" / "out", 2)
    csv = tmp_path / "patients.csv"
    csv.write_text("filename;patient_id\r\n" + "".join(f"COVID-{n};P{n}\r\n" for n in range(6)), "utf-8-sig")

    told = subprocess.run(  # noqa: PLW1510 (its refusal is the subject)
        [sys.executable, "-m", "flows", "train", "d", "--patients", "patients.csv"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    for sentence in (
        "patients.csv: 6 of 18 files have a row, 6 of 6 rows fit a file",
        "16 X-rays registered",
        "10 labelled X-rays carry patient ids of too many films, or of both classes",
        "6 of them are another patient's by their own header than by the patients CSV: the CSV counts",
        "kept out: in folders called 'masks' beside the X-rays 3",
        "kept out: FEW_GREY_LEVELS 2",
    ):
        assert sentence in told.stdout, told.stdout + told.stderr
    assert told.returncode == 2
    assert "Of 10 X-rays the patient is unknown, and they never judge" in told.stderr
    assert "X-rays are left out" in told.stderr
    assert "show the same picture as one on another side" in told.stderr
