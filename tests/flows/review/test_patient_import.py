"""Whose the films are: said for films that are here and films to come; a placeholder is nobody."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from db import audit
from db.engine import open_engine, snapshot, transaction
from db.reading.labelled import read_labelled
from db.scoring import patient_tally, xrays
from db.scoring.tables import PatientFactRow, XrayRow
from flows.home.ledger import find_anchor
from flows.home.site_key import pseudonym, read_site_key
from flows.operations.status import read_status
from flows.operations.verification import find_breach
from flows.review.label_import import import_labels_from
from flows.review.patient_import import PatientImport, import_patients, read_patient_tally
from flows.settings import Settings
from tests.dicom_files import dicom
from tests.flows.scoring.test_scan import drop_xrays, read_lines, scan
from xray_core.errors import InvalidLabelsCsv, RefusedInput
from xray_core.promotion.policy import LabelRules
from xray_core.records import Split
from xray_core.training.split import TrainingSet, assign_split, plan_training_set


def write_csv(folder: Path, *rows: str, header: str = "filename,patient_id") -> Path:
    path = folder / "patients.csv"
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def whose(settings: Settings, name: str) -> str | None:
    return read_lines(settings)[name].patient


def test_films_that_are_here_and_films_to_come_get_their_patient(settings: Settings, tmp_path: Path) -> None:
    here, unnamed = drop_xrays(settings.incoming_dir, 2)
    scan(settings)
    key = read_site_key(settings)
    rows = [f"{here.name},P1", "later.png,P2", "nobody.png,ANONYMOUS"]

    done = import_patients(settings, write_csv(tmp_path, *rows))
    (later,) = drop_xrays(settings.incoming_dir, 1, seed=7)
    later.rename(later.with_name("later.png"))
    scan(settings)

    assert done == PatientImport(matched=1, waiting=1, placeholders=1, new=2)
    assert whose(settings, here.name) == pseudonym(key, "P1")
    assert whose(settings, "later.png") == pseudonym(key, "P2")
    assert whose(settings, unnamed.name) is None
    assert import_patients(settings, write_csv(tmp_path, *rows)).new == 0


def test_a_film_to_come_is_known_by_its_content_too(settings: Settings, tmp_path: Path) -> None:
    (film,) = drop_xrays(settings.incoming_dir, 1)
    sha256 = hashlib.sha256(film.read_bytes()).hexdigest()

    import_patients(settings, write_csv(tmp_path, f"{sha256},P3", header="sha256;patient_id".replace(";", ",")))
    scan(settings)

    assert whose(settings, film.name) == pseudonym(read_site_key(settings), "P3")


def test_a_second_content_under_the_name_is_nobody_s(settings: Settings, tmp_path: Path) -> None:
    import_patients(settings, write_csv(tmp_path, "IM1.png,P1"))
    for seed in (1, 2):
        (film,) = drop_xrays(settings.incoming_dir, 1, seed=seed)
        film.rename(film.with_name("IM1.png"))
        scan(settings)

    assert whose(settings, "IM1.png") is None


def test_what_contradicts_is_refused_whole_and_every_line_is_named(settings: Settings, tmp_path: Path) -> None:
    first, second = drop_xrays(settings.incoming_dir, 2)
    scan(settings)

    with pytest.raises(RefusedInput, match=r"nothing was imported; 1 to mend:\nline 3: another patient than in line 2"):
        import_patients(settings, write_csv(tmp_path, f"{first.name},P1", f"{first.name},P2"))
    with pytest.raises(RefusedInput, match=r"line 3: another patient than in line 2"):
        import_patients(settings, write_csv(tmp_path, f"{second.name},P2", f"{second.name},P3"))
    with pytest.raises(RefusedInput, match="expected filename or sha256, and patient_id"):
        import_patients(settings, write_csv(tmp_path, "a,b", header="film,person"))

    assert whose(settings, second.name) is None


def test_every_surface_says_how_many_are_unknown(settings: Settings, tmp_path: Path) -> None:
    films = drop_xrays(settings.incoming_dir, 3)
    scan(settings)
    import_patients(settings, write_csv(tmp_path, f"{films[0].name},P1"))

    tally, doubted = read_patient_tally(settings)
    told = subprocess.run(
        [sys.executable, "-m", "flows", "patients", "status"], capture_output=True, text=True, check=True
    ).stdout
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with snapshot(engine) as session:
        unscored = patient_tally.count_unknown_scored(session)
    engine.dispose()

    assert (tally.known, tally.unknown, tally.patients, doubted) == (1, 2, 1, 0)
    assert unscored == 2
    assert "2 X-rays of unknown patients, 0 of them labelled: they never judge" in told
    assert any("2 X-rays of unknown patients" in line for line in read_status(settings).lines())


def test_a_labels_csv_may_say_whose_its_films_are(settings: Settings, tmp_path: Path) -> None:
    films = drop_xrays(settings.incoming_dir, 2)
    scan(settings)
    labels = tmp_path / "labels.csv"
    labels.write_text(f"filename,label,patient_id\n{films[0].name},covid,P1\n{films[1].name},normal,unknown\n")

    import_labels_from(settings, labels, mapping={})

    assert whose(settings, films[0].name) == pseudonym(read_site_key(settings), "P1")
    assert whose(settings, films[1].name) is None
    labels.write_text(f"filename,label,patient_id\n{films[0].name},covid,P2\n")
    with pytest.raises(InvalidLabelsCsv, match="known as another patient's"):
        import_labels_from(settings, labels, mapping={})


def test_a_wrong_patient_is_corrected_by_a_later_csv_and_both_stay_recorded(settings: Settings, tmp_path: Path) -> None:
    first, second = drop_xrays(settings.incoming_dir, 2)
    scan(settings)
    key = read_site_key(settings)
    import_patients(settings, write_csv(tmp_path, f"{first.name},P1", f"{second.name},P1"))

    corrected = import_patients(settings, write_csv(tmp_path, f"{first.name},P2", f"{second.name},P1"))
    again = import_patients(settings, write_csv(tmp_path, f"{first.name},P2", f"{second.name},P1"))
    back = import_patients(settings, write_csv(tmp_path, f"{first.name},P1"))

    assert (corrected.matched, corrected.new, corrected.corrected, corrected.against_header) == (2, 1, 1, 0)
    assert (again.new, again.corrected) == (0, 0)
    assert back.corrected == 1
    assert whose(settings, first.name) == whose(settings, second.name) == pseudonym(key, "P1")
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with snapshot(engine) as session:
        facts = session.scalars(select(PatientFactRow.patient).order_by(PatientFactRow.id)).all()
        said = [detail["corrected"] for _, _, detail in audit.iter_details(session, "patients-imported")]
        former = patient_tally.read_former_patients(session, among=select(XrayRow.id))
    engine.dispose()
    assert facts == [pseudonym(key, patient) for patient in ("P1", "P1", "P2", "P1")]
    assert said == [0, 1, 1]
    assert list(former.values()) == [(pseudonym(key, "P2"),)]
    assert find_breach(settings)[0] is None


def drop_dicom(settings: Settings, name: str, patient: str) -> Path:
    film = settings.incoming_dir / name
    film.write_bytes(dicom(PatientID=patient, InstanceNumber=len(name)))
    return film


def test_a_header_that_contradicts_a_csv_never_wins_silently(settings: Settings, tmp_path: Path) -> None:
    key = read_site_key(settings)
    drop_dicom(settings, "here.dcm", "HEADER")
    drop_dicom(settings, "agrees.dcm", "SAME")
    scan(settings)

    done = import_patients(
        settings,
        write_csv(tmp_path, "here.dcm,CSV", "agrees.dcm,SAME", "to-come.dcm,CSV"),
    )
    drop_dicom(settings, "to-come.dcm", "HEADER")
    scan(settings)
    drop_dicom(settings, "here.dcm", "HEADER")  # the same content once more: what was said of it stays
    scan(settings)

    assert (done.corrected, done.against_header) == (1, 1)
    for name in ("here.dcm", "to-come.dcm"):
        assert whose(settings, name) == pseudonym(key, "CSV")
    tally, _ = read_patient_tally(settings)
    assert (tally.against_header, tally.corrected, tally.waiting) == (2, 0, 0)
    assert "  of 2 X-rays a CSV and what came with the film name two patients" in read_status(settings).lines()
    assert find_breach(settings)[0] is None


def test_a_csv_that_fits_few_films_is_refused_unless_they_are_to_come(settings: Settings, tmp_path: Path) -> None:
    drop_xrays(settings.incoming_dir, 8)
    scan(settings)
    csv = write_csv(tmp_path, "xray-0-000.png,P0", *(f"IM{n}.png,P{n}" for n in range(1, 8)))

    with pytest.raises(RefusedInput, match=r"1 of 8 films that it names are here, of 8 X-rays.*--to-come") as refusal:
        import_patients(settings, csv)
    done = import_patients(settings, csv, to_come=True)

    assert "IM1.png" in str(refusal.value)
    assert "IM1.png" not in refusal.value.public_sentence
    assert (done.matched, done.waiting) == (1, 7)


def test_names_without_their_ending_and_in_another_case_and_form_fit(settings: Settings, tmp_path: Path) -> None:
    first, second = drop_xrays(settings.incoming_dir, 2)
    first.rename(first.with_name("M\xfcller.png"))
    scan(settings)

    done = import_patients(settings, write_csv(tmp_path, "C:\\scans\\mu\u0308ller,P1", f"in/{second.name.upper()},P2"))

    assert (done.matched, done.waiting) == (2, 0)


def test_what_was_trained_on_never_judges_when_its_patient_becomes_known_or_another(
    settings: Settings, tmp_path: Path
) -> None:
    names = [film.name for film in drop_xrays(settings.incoming_dir, 4)]
    scan(settings)
    label_all(settings, names, tmp_path)
    key = read_site_key(settings)
    judging, trained = find_sides(key)
    import_patients(settings, write_csv(tmp_path, f"{names[1]},{trained}", f"{names[2]},{judging}"))
    before = plan(settings)
    freeze(settings, before)

    # One becomes known, and one is corrected, to the patient on the test side: neither that patient nor they judge.
    import_patients(settings, write_csv(tmp_path, f"{names[0]},{judging}", f"{names[1]},{judging}"))
    after = plan(settings)

    assert len(before.train) == 3
    assert len(before.test) == 1
    assert after.test == ()
    assert {item.reason for item in after.left_out} == {
        "stood on the train side before its patient was known, who stands on the test side",
        "stood on the train side before its patient was corrected, who stands on the test side",
        "its patient was trained on before the patient was known: it never judges",
    }


def test_names_that_a_spreadsheet_made_of_others_are_refused(settings: Settings, tmp_path: Path) -> None:
    first, second = drop_xrays(settings.incoming_dir, 2)
    first.rename(first.with_name("00012345.png"))
    second.rename(second.with_name("12345.png"))
    scan(settings)

    with pytest.raises(RefusedInput, match=r"2 to mend:\nline 2: 12345 may once have been 00012345\.png.*\nline 3: 02"):
        import_patients(settings, write_csv(tmp_path, "12345,P1", "02. Jan,P2"))
    done = import_patients(settings, write_csv(tmp_path, "00012345,P1", "12345,P2"))

    assert (done.matched, done.waiting) == (2, 0)


def label_all(settings: Settings, names: list[str], folder: Path) -> None:
    path = folder / "labels.csv"
    path.write_text("filename,label,score_visible\n" + "".join(f"{name},covid,no\n" for name in names))
    import_labels_from(settings, path, mapping={})


def find_sides(key: bytes) -> tuple[str, str]:
    """A patient whom the key puts on the test side, and one on the train side."""
    sides = {assign_split(pseudonym(key, f"P{n}"), key): f"P{n}" for n in range(200)}
    return sides[Split.TEST], sides[Split.TRAIN]


def plan(settings: Settings) -> TrainingSet:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with snapshot(engine) as session:
        labelled, frozen = read_labelled(session, LabelRules()), xrays.read_splits(session)
    engine.dispose()
    # Content groups would stand where chance puts them: those that are new here are trained on.
    content = {x.group: Split.TRAIN for x in labelled if not x.patient_known}
    return plan_training_set(labelled, content | frozen, read_site_key(settings), labelled=labelled)


def freeze(settings: Settings, planned: TrainingSet) -> None:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with transaction(engine) as session:
        xrays.freeze_splits(session, planned.sides, now=datetime.now(UTC))
    engine.dispose()
