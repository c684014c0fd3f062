"""A patients CSV, whatever program wrote it; and which file of a dataset each of its rows means."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest

from xray_core.errors import InvalidDataset, RefusedInput
from xray_core.exchange.dataset_folder import DatasetFolder, read_dataset_folder
from xray_core.exchange.patients_csv import read_patients_csv
from xray_core.records import Label

CLASSES = {"covid": Label.COVID, "normal": Label.NORMAL}
PLAIN = "filename,patient_id,age\na.png,P1,55.0\nb.png,P2,\n"


def dataset_of(folder: Path, names: list[str]) -> Path:
    for name in names:
        path = folder / "d" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"never opened here")
    return folder / "d"


def read(folder: Path, names: list[str], csv: str) -> DatasetFolder:
    path = folder / "patients.csv"
    path.write_text(csv, encoding="utf-8")
    return read_dataset_folder(dataset_of(folder, names), CLASSES, path)


def whose(dataset: DatasetFolder) -> dict[str, str | None]:
    return {item.path.relative_to(dataset.root).as_posix(): item.patient for item in dataset.items}


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode("utf-8-sig"),
        PLAIN.replace(",", ";").replace("55.0", "55,0").replace("\n", "\r\n").encode("utf-8-sig"),
        b"sep=;\r\n" + PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode("utf-16"),
        PLAIN.replace(",", "|").encode(),
        PLAIN.replace("\n", "\r").encode(),
        b"Patient ID,Image Index,Age\nP1,a.png,55\nP2,b.png\n",
        b"\n\nfilename,patient_id,age\n\na.png,P1,55\n,,\nb.png,P2\n",
        b'"filename","patient_id","age"\n"covid/a.png","P1","55"\n"normal\\b.png","P2",""\n',
    ],
)
def test_the_ways_that_programs_write_a_patients_csv_all_read_the_same(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "patients.csv").write_bytes(content)

    dataset = read_dataset_folder(
        dataset_of(tmp_path, ["covid/a.png", "normal/b.png"]), CLASSES, tmp_path / "patients.csv"
    )

    assert [(item.patient, item.age_group) for item in dataset.items] == [("P1", "40-59"), ("P2", None)]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("filename,patient_id\nM\xfcller.png,P1\n".encode("cp1252"), "in Windows-1252 it would be 'ü'"),
        (b'filename,patient_id\n"a.png,P1\nb.png,P2\n', "line 2: received a row that cannot be read as CSV"),
        (b"filename,patient_id\na.png,P1,x\n", "line 2: received 3 cells; expected 2"),
        (b"filename,patient_id\na.png,P1\n,P2\n", "line 3: the file name is empty"),
        (b"sha256,patient_id\nabc,P1\n", "line 2: received sha256 'abc'; expected 64 hex digits"),
        (b"filename,patient_id,patient_id\na.png,P1,P2\n", "each once"),
        (b"filename,file,patient_id\na.png,b.png,P1\n", "line 2: received 'a.png' and 'b.png' in columns of one"),
        (b"filename,patient_id,subject_id\na.png,P1,P2\n", "line 2: received 'P1' and 'P2' in columns of one"),
        (b"PK\x03\x04 and so on", "an Excel workbook"),
        (b"filename;patient_id\n", "no row"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "patients.csv"
    path.write_bytes(content)

    read = read_patients_csv(path)

    assert problem in "\n".join(read.problems)
    with pytest.raises(InvalidDataset, match=r"patients\.csv: refused"):
        read_dataset_folder(dataset_of(tmp_path, ["covid/a.png", "normal/b.png"]), CLASSES, path)


def test_every_bad_row_is_named_and_of_many_twenty(tmp_path: Path) -> None:
    rows = "\n".join(",P1" for _ in range(50))

    with pytest.raises(InvalidDataset, match=r"line 21: the file name is empty.*\nand 30 more") as refusal:
        read(tmp_path, ["covid/a.png", "normal/b.png"], f"filename,patient_id\n{rows}\n")

    assert len(str(refusal.value).splitlines()) == 22


def test_a_patients_csv_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedInput, match="no such file"):
        read_patients_csv(tmp_path / "none.csv")


FILES = ["covid/COVID-1.png", "covid/M\xfcller.jpg", "normal/Normal-1.dcm", "normal/2"]


@pytest.mark.parametrize(
    "names",
    [
        ["COVID-1.png", "M\xfcller.jpg", "Normal-1.dcm", "2"],
        ["covid-1.PNG", normalize("NFD", "m\xfcller.JPG"), "NORMAL-1.DCM", "2"],
        ["COVID-1", "M\xfcller", "normal-1", "2.png"],
        ["/mnt/x/dataset/COVID-1.png", "d/M\xfcller.jpg", "C:\\scans\\Normal-1.dcm", "normal/2"],
    ],
)
def test_names_match_in_any_form_case_ending_and_folder(tmp_path: Path, names: list[str]) -> None:
    rows = "\n".join(f"{name},P{place}" for place, name in enumerate(names))

    dataset = read(tmp_path, FILES, f"filename,patient_id\n{rows}\n")

    assert [whose(dataset)[name] for name in FILES] == ["P0", "P1", "P2", "P3"]
    assert str(dataset.fit) == "patients.csv: 4 of 4 files have a row, 4 of 4 rows fit a file"


def test_a_name_of_several_files_is_told_apart_by_its_folders_or_says_nothing(tmp_path: Path) -> None:
    files = ["covid/images/1.png", "normal/images/1.png", "covid/images/2.png", "normal/images/2.png"]

    dataset = read(tmp_path, files, "filename,patient_id\nCOVID/1.png,A\nset/normal/images/1.png,B\n2.png,C\n")

    assert [whose(dataset)[name] for name in files] == ["A", "B", None, None]
    assert str(dataset.fit) == (
        "patients.csv: 2 of 4 files have a row, 2 of 3 rows fit a file, 1 fit several and say nothing (write "
        "folder/name)"
    )


def test_two_names_never_come_to_mean_one_file_by_likeness(tmp_path: Path) -> None:
    dataset = read(tmp_path, ["covid/a.png", "normal/b.png"], "filename,patient_id\nA.png,1\na.PNG,2\nb.png,3\n")

    assert whose(dataset) == {"covid/a.png": None, "normal/b.png": "3"}


@pytest.mark.parametrize("fitting", [0, 1])
def test_a_csv_that_fits_few_files_is_refused_with_numbers_and_the_way_out(tmp_path: Path, fitting: int) -> None:
    files = [f"{label}/{label}-{n}.png" for label in CLASSES for n in range(4)]
    rows = [files[0]] * fitting + [f"IM-{n:04}.png" for n in range(8 - fitting)]

    with pytest.raises(InvalidDataset) as refusal:
        read(tmp_path, files, "filename,patient_id\n" + "\n".join(f"{name},P{name}" for name in rows))

    words = str(refusal.value)
    assert f"{fitting} of 8 files have a row, {fitting} of 8 rows fit a file" in words
    assert all(part in words for part in ("IM-0000.png", "covid/covid-0.png", "expected each file's name"))
    assert "IM-" not in refusal.value.public_sentence


def test_a_csv_of_many_more_films_or_of_a_part_of_them_is_taken_and_said(tmp_path: Path) -> None:
    files = [f"{label}/{label}-{n}.png" for label in CLASSES for n in range(10)]
    of_all = "".join(f"other-{n}.png,O{n}\n" for n in range(100)) + "".join(f"{name},P\n" for name in files)

    assert str(read(tmp_path, files, f"filename,patient_id\n{of_all}").fit) == (
        "patients.csv: 20 of 20 files have a row, 20 of 120 rows fit a file"
    )
    assert str(read(tmp_path, files, f"filename,patient_id\n{files[0]},P\n").fit) == (
        "patients.csv: 1 of 20 files have a row, 1 of 1 rows fit a file"
    )


def test_placeholders_are_nobody_and_what_else_stands_there_is_kept(tmp_path: Path) -> None:
    dataset = read(
        tmp_path, ["covid/a.png", "normal/b.png"], "filename,patient_id,sex,view\na.png,ANONYMOUS,F,\nb.png,,,AP\n"
    )

    assert [(item.patient, item.sex, item.view) for item in dataset.items] == [(None, "F", None), (None, None, "AP")]


def test_numbers_that_a_spreadsheet_shortened_are_refused_and_never_another_film(tmp_path: Path) -> None:
    files = ["covid/00012345.png", "covid/12345.png", "normal/777.png"]

    with pytest.raises(InvalidDataset, match=r"line 2: 12345 may once have been covid/00012345\.png, whose zeros"):
        read(tmp_path, files, "filename,patient_id\n12345,A\n12345,B\n777,C\n")
    assert whose(read(tmp_path, files, "filename,patient_id\n00012345,A\n12345,B\n777,C\n")) == dict(
        zip(files, "ABC", strict=True)
    )
