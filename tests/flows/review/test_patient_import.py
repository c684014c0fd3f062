"""Whose the films are: said for films that are here and films to come; a placeholder is nobody."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from db.engine import open_engine, snapshot
from db.scoring import patients
from flows.home.ledger import find_anchor
from flows.home.site_key import pseudonym, read_site_key
from flows.operations.status import read_status
from flows.review.label_import import import_labels_from
from flows.review.patient_import import PatientImport, import_patients, read_patient_tally
from flows.settings import Settings
from tests.flows.scoring.test_scan import drop_xrays, read_lines, scan
from xray_core.errors import InvalidLabelsCsv, RefusedInput


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
    import_patients(settings, write_csv(tmp_path, f"{first.name},P1"))

    with pytest.raises(RefusedInput, match=r"refused, nothing was imported; 1 to mend:\nline 2: .*another patient's"):
        import_patients(settings, write_csv(tmp_path, f"{first.name},P2", f"{second.name},P2"))
    with pytest.raises(RefusedInput, match=r"line 3: another patient than in line 2"):
        import_patients(settings, write_csv(tmp_path, f"{second.name},P2", f"{second.name},P3"))
    with pytest.raises(RefusedInput, match="expected filename or sha256, and patient_id"):
        import_patients(settings, write_csv(tmp_path, "a,b", header="film,person"))

    assert whose(settings, second.name) is None


def test_every_surface_says_how_many_are_unknown(settings: Settings, tmp_path: Path) -> None:
    films = drop_xrays(settings.incoming_dir, 3)
    scan(settings)
    import_patients(settings, write_csv(tmp_path, f"{films[0].name},P1"))

    tally = read_patient_tally(settings)
    told = subprocess.run(
        [sys.executable, "-m", "flows", "patients", "status"], capture_output=True, text=True, check=True
    ).stdout
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with snapshot(engine) as session:
        unscored = patients.count_unknown_scored(session)
    engine.dispose()

    assert (tally.known, tally.unknown, tally.patients) == (1, 2, 1)
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
