"""Datasets on disk: folders per class, patients CSV, ieee8023's metadata."""

from __future__ import annotations

from pathlib import Path

import pytest

from xray_core.errors import InvalidDataset
from xray_core.exchange.dataset_folder import read_dataset_folder
from xray_core.records import Label, PatientSource

CLASSES = {"covid": Label.COVID, "normal": Label.NORMAL}


def put(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"never opened here")
    return folder


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_folder_per_class_gives_its_files_that_label(tmp_path: Path) -> None:
    put(tmp_path, "covid/a.png", "covid/series/b", "normal/c.jpeg")

    dataset = read_dataset_folder(tmp_path, CLASSES)

    labels = [(item.path.relative_to(tmp_path).as_posix(), item.label.value) for item in dataset.items]
    assert labels == [("covid/a.png", "covid"), ("covid/series/b", "covid"), ("normal/c.jpeg", "normal")]
    assert {item.patient for item in dataset.items} == {None}


def test_folder_names_map_to_classes_in_any_case(tmp_path: Path) -> None:
    put(tmp_path, "COVID-19/a.png", "Healthy/b.png")

    dataset = read_dataset_folder(tmp_path, {"covid-19": Label.COVID, "healthy": Label.NORMAL})

    assert [item.label for item in dataset.items] == [Label.COVID, Label.NORMAL]


def test_what_is_kept_out_is_counted_with_its_reason(tmp_path: Path) -> None:
    put(tmp_path, "covid/a.png", "covid/notes.txt", "covid/.hidden", "normal/b.png", "lungs/c.png")
    (tmp_path / "normal/link.png").symlink_to(tmp_path / "covid/a.png")

    dataset = read_dataset_folder(tmp_path, CLASSES)

    assert len(dataset.items) == 2
    assert dataset.kept_out == {
        "not an X-ray by its ending": 1,
        "folder 'lungs' is no class": 1,
        "a link or no regular file": 1,
    }


def test_the_patients_csv_says_whose_an_x_ray_is_and_more_where_it_knows(tmp_path: Path) -> None:
    put(tmp_path, "d/covid/a.png", "d/normal/b.png", "d/normal/c.png")
    patients = write(
        tmp_path / "patients.csv",
        "filename,patient_id,source,view,sex,age,anything",
        "a.png,7,site A,PA,F,55.0,x",
        "b.png,8,,,unknown,nan,x",
        "elsewhere.png,9,,,,,",
    )

    first, second, third = read_dataset_folder(tmp_path / "d", CLASSES, patients).items

    assert (first.patient, first.source, first.view, first.sex, first.age_group) == ("7", "site A", "PA", "F", "40-59")
    assert (second.patient, second.source, second.sex, second.age_group) == ("8", None, None, None)
    assert third.patient is None


def test_a_name_that_stands_for_two_patients_must_say_which_folder_it_is_in(tmp_path: Path) -> None:
    put(tmp_path, "d/covid/a.png", "d/normal/a.png")
    unclear = write(tmp_path / "unclear.csv", "filename,patient_id", "a.png,1", "a.png,2")
    clear = write(tmp_path / "clear.csv", "filename,patient_id", "covid/a.png,1", "normal\\a.png,2")

    with pytest.raises(InvalidDataset, match=r"two patients; write folder/name, as covid/a\.png"):
        read_dataset_folder(tmp_path / "d", CLASSES, unclear)
    assert [item.patient for item in read_dataset_folder(tmp_path / "d", CLASSES, clear).items] == ["1", "2"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            b"filename,patient\na.png,1\n",
            "received the columns 'filename', 'patient'; expected filename or sha256, and",
        ),
        (b"filename,patient_id\n", "no row"),
        (b"filename,patient_id\n,1\n", "line 2: the file name is empty"),
        (b"filename,patient_id\n\xff\xfe,1\n", "line 2: received the byte 0xFF in column 1, which is not UTF-8"),
        (b"", "received an empty file"),
    ],
)
def test_a_patients_csv_that_cannot_be_used_is_refused_in_words(tmp_path: Path, content: bytes, problem: str) -> None:
    put(tmp_path, "d/covid/a.png", "d/normal/b.png")
    (tmp_path / "patients.csv").write_bytes(content)

    with pytest.raises(InvalidDataset, match=problem):
        read_dataset_folder(tmp_path / "d", CLASSES, tmp_path / "patients.csv")


def test_a_missing_patients_csv_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "d/covid/a.png", "d/normal/b.png")

    with pytest.raises(InvalidDataset, match="no such file"):
        read_dataset_folder(tmp_path / "d", CLASSES, tmp_path / "none.csv")


def test_a_dataset_without_its_classes_is_refused_with_what_was_found(tmp_path: Path) -> None:
    put(tmp_path, "cats/a.png", "dogs/b.png")

    with pytest.raises(
        InvalidDataset, match=r"received 'cats', 'dogs'; expected one folder per class \(covid/ for covid"
    ):
        read_dataset_folder(tmp_path, CLASSES)


def test_one_class_alone_is_refused_unless_asked_for(tmp_path: Path) -> None:
    put(tmp_path, "covid/a.png")

    with pytest.raises(InvalidDataset, match="no X-ray of class normal"):
        read_dataset_folder(tmp_path, CLASSES)
    assert len(read_dataset_folder(tmp_path, CLASSES, both_classes=False).items) == 1


def test_a_path_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match="not a folder"):
        read_dataset_folder(tmp_path / "none", CLASSES)


def test_the_x_ray_rows_of_the_ieee8023_metadata_are_read_and_the_rest_is_counted(tmp_path: Path) -> None:
    put(tmp_path, "images/a.jpg", "images/b.jpg", "images/ct.jpg", "images/mers.jpg", "volumes/v.nii")
    write(
        tmp_path / "metadata.csv",
        "patientid,offset,sex,age,finding,view,modality,folder,filename,url",
        "2,0,M,65,Pneumonia/Viral/COVID-19,PA,X-ray,images,a.jpg,https://radiopaedia.org/cases/1",
        "3,0,F,17,No Finding,AP,X-ray,images,b.jpg,",
        '4,0,F,30,"COVID-19, ARDS",Axial,CT,images,ct.jpg,',
        "5,0,,,Pneumonia/Viral/MERS-CoV,PA,X-ray,images,mers.jpg,",
        "6,0,,,COVID-19,PA,X-ray,images,missing.jpg,",
        "7,0,,,COVID-19,PA,X-ray,../..,a.jpg,",
    )

    dataset = read_dataset_folder(tmp_path, CLASSES)

    covid, normal = dataset.items
    assert (covid.path.name, covid.label, covid.patient, covid.source) == ("a.jpg", Label.COVID, "2", "radiopaedia.org")
    assert (normal.label, normal.sex, normal.age_group) == (Label.NORMAL, "F", "under 18")
    assert dataset.kept_out["not an X-ray"] == 1
    assert dataset.kept_out["finding 'Pneumonia/Viral/MERS-CoV' is no class"] == 1
    assert dataset.kept_out["the file is not there"] == 1


def test_metadata_that_gives_a_file_both_classes_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "images/a.jpg")
    write(tmp_path / "metadata.csv", "patientid,finding,view,filename", "1,COVID-19,PA,a.jpg", "1,No Finding,PA,a.jpg")

    with pytest.raises(InvalidDataset, match=r"line 3: a\.jpg is there before as covid"):
        read_dataset_folder(tmp_path, CLASSES)


@pytest.mark.parametrize(
    "beside", ["masks", "Mask", "lung_masks", "Segmentation-2", "annotations", "heatmaps", "__MACOSX", "ground_truth"]
)
def test_folders_that_hold_no_films_are_kept_out_and_counted(tmp_path: Path, beside: str) -> None:
    put(tmp_path, "COVID/a.png", f"COVID/{beside}/a.png", f"COVID/{beside}/deep/._a.png", "normal/series 1/b.png")

    dataset = read_dataset_folder(tmp_path, CLASSES)

    assert [item.path.relative_to(tmp_path).as_posix() for item in dataset.items] == [
        "COVID/a.png",
        "normal/series 1/b.png",
    ]
    assert dataset.kept_out == {f"in folders called {beside!r} beside the X-rays": 2}


def test_beside_a_folder_of_images_no_other_one_is_read(tmp_path: Path) -> None:
    put(tmp_path, "covid/images/a.png", "covid/out/a.png", "normal/Images/p1/b.png", "normal/x/c.png", "normal/x/d.png")

    dataset = read_dataset_folder(tmp_path, CLASSES)

    assert len(dataset.items) == 2
    assert dataset.kept_out == {
        "in folders called 'out' beside the X-rays": 1,
        "in folders called 'x' beside the X-rays": 2,
    }


def test_patients_and_series_may_have_folders_of_their_own(tmp_path: Path) -> None:
    put(tmp_path, "covid/P0017/1.png", "covid/Maskell, J/1.png", "normal/labelled by us/b.png", "normal/segovia/c.png")

    assert len(read_dataset_folder(tmp_path, CLASSES).items) == 4


def test_a_folder_that_is_a_link_is_counted(tmp_path: Path) -> None:
    put(tmp_path, "set/covid/a.png", "set/normal/b.png", "elsewhere/c.png")
    (tmp_path / "set/covid/more").symlink_to(tmp_path / "elsewhere")

    assert read_dataset_folder(tmp_path / "set", CLASSES).kept_out == {"a link or no regular file": 1}


def test_a_set_that_comes_split_is_refused_with_the_way_out(tmp_path: Path) -> None:
    put(tmp_path, *(f"{part}/{label}/a.png" for part in ("train", "test") for label in CLASSES), "set/covid/a.png")

    with pytest.raises(InvalidDataset, match=r"set/, test/, train/ hold them: put each class's files into one folder"):
        read_dataset_folder(tmp_path, CLASSES)
    put(tmp_path, "zip/data/covid/a.png")
    with pytest.raises(InvalidDataset, match=r"data/ holds them: give that folder"):
        read_dataset_folder(tmp_path / "zip", CLASSES)


def test_where_nothing_is_left_it_is_said_what_was_kept_out(tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/a.png", "covid/notes.txt")
    (tmp_path / "normal").mkdir()
    (tmp_path / "normal/a.png").symlink_to(tmp_path / "elsewhere/a.png")

    with pytest.raises(
        InvalidDataset, match=r"kept out: a link or no regular file: 1; folder 'elsewhere' is no class: 1"
    ):
        read_dataset_folder(tmp_path, CLASSES)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_metadata_listing_is_read_whatever_program_wrote_it(tmp_path: Path, encoding: str) -> None:
    put(tmp_path, "images/a.JPG", "images/b.jpg")
    listing = "patientid;finding;view;filename;age\r\n2;COVID-19;PA;a.jpg;65,0\r\n3;No Finding;AP;b;\r\n"
    (tmp_path / "metadata.csv").write_bytes(listing.encode(encoding))

    covid, normal = read_dataset_folder(tmp_path, CLASSES).items

    assert (covid.path.name, covid.patient, covid.age_group) == ("a.JPG", "2", "60-79")
    assert (normal.path.name, normal.patient, normal.age_group) == ("b.jpg", "3", None)


def test_a_metadata_listing_with_bad_rows_is_refused_with_them(tmp_path: Path) -> None:
    put(tmp_path, "images/a.jpg")
    (tmp_path / "metadata.csv").write_bytes(b"patientid,finding,view,filename\n1,COVID-19,PA,\xfc.jpg\n")

    with pytest.raises(InvalidDataset, match=r"metadata\.csv: refused:\nline 2: .*Windows-1252 it would be"):
        read_dataset_folder(tmp_path, CLASSES)


def test_patients_may_stand_beside_their_films(tmp_path: Path) -> None:
    put(tmp_path, "covid/a.png", "covid/b.png", "normal/c.png")
    write(tmp_path / "covid/a.png.patient", "P1")
    write(tmp_path / "normal/c.png.patient", "unknown")

    read = read_dataset_folder(tmp_path, CLASSES, patient_from=PatientSource.SIDECAR)
    without = read_dataset_folder(tmp_path, CLASSES)

    assert [item.patient for item in read.items] == ["P1", None, None]
    assert read.kept_out == {}
    assert [item.patient for item in without.items] == [None, None, None]
    assert without.kept_out == {"patients' ids beside X-rays, which XRAY_PATIENT_FROM=sidecar reads": 2}
    (tmp_path / "covid/b.png.patient").write_bytes(b"\xff")
    with pytest.raises(InvalidDataset, match=r"b\.png: its \.patient file cannot be read"):
        read_dataset_folder(tmp_path, CLASSES, patient_from=PatientSource.SIDECAR)


def test_patients_may_have_a_folder_each_and_a_csv_counts_over_it(tmp_path: Path) -> None:
    put(tmp_path, "d/covid/P1/series/a.png", "d/covid/b.png", "d/normal/images/P2/c.png", "d/normal/images/anon/d.png")
    csv = write(tmp_path / "patients.csv", "filename,patient_id", "c.png,P3")

    read = read_dataset_folder(tmp_path / "d", CLASSES, patient_from=PatientSource.FOLDER)
    both = read_dataset_folder(tmp_path / "d", CLASSES, csv, patient_from=PatientSource.FOLDER)

    assert [item.patient for item in read.items] == ["P1", None, "P2", None]
    assert [item.patient for item in both.items] == ["P1", None, "P3", None]
