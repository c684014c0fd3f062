"""A name planted wherever a file can carry one is found again nowhere that it should not be."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom import dcmread
from pydicom.datadict import DicomDictionary
from pydicom.uid import ExplicitVRLittleEndian

from flows.home.site_key import pseudonym, read_site_key
from flows.settings import Settings
from tests.dicom_files import dicom
from tests.flows.scoring.test_scan import count_results, read_lines
from tests.forked import xray
from xray_core.records import Label
from xray_core.synthetic.xrays import draw_xray

# In every tag, comment and EXIF field; no byte of it may stay.
CANARY = "ZZCANARY"
CANARY_DATE = "19130807"
CANARY_UID = "1.2.826.0.1.3680043.777.19130807"
# In every file name: these stay in two columns of xray.db, and by a setting in the CSV.
NAMED = "ZZNAMED"
NAME_COLUMNS = {("incoming_files", "name"), ("xrays", "path")}

_TEXT = {"PN", "LO", "SH", "LT", "ST", "UT", "UC"}


def canary_dicom(**tags: object) -> bytes:
    """A chest film with the canary in every text, date and UID element of the dictionary and in a private one."""
    dataset = dcmread(io.BytesIO(dicom(**tags)))
    for tag, (kind, _, _, _, keyword) in DicomDictionary.items():
        if not keyword or tag < 0x00080000:
            continue
        if kind in _TEXT:
            setattr(dataset, keyword, CANARY)
        elif kind == "DA":
            setattr(dataset, keyword, CANARY_DATE)
        elif kind == "UI" and keyword != "SOPClassUID":
            setattr(dataset, keyword, CANARY_UID)
    del dataset.PatientSpeciesDescription, dataset.PatientBreedDescription  # any word here is an animal's
    dataset.private_block(0x0099, "ZZMAKER", create=True).add_new(1, "LO", CANARY)
    assert dataset.PatientID == CANARY
    assert len(dataset) > 800
    target = io.BytesIO()
    dataset.file_meta.MediaStorageSOPInstanceUID = CANARY_UID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


def canary_png() -> bytes:
    info = PngInfo()
    info.add_text("Author", CANARY)
    info.add_text(CANARY, "keyword")
    info.add_text("Comment", CANARY * 40, zip=True)
    info.add_itxt("Title", CANARY)
    return _save("PNG", pnginfo=info, exif=_exif())


def canary_jpeg() -> bytes:
    return _save("JPEG", comment=CANARY.encode(), exif=_exif(), xmp=f"<x>{CANARY}</x>".encode())


def _exif() -> Image.Exif:
    exif = Image.Exif()
    for tag in (0x010E, 0x010F, 0x0110, 0x0131, 0x013B, 0x8298, 0x9C9B, 0x9286):
        exif[tag] = CANARY
    exif[0x0132] = "1913:08:07 00:00:00"
    return exif


def _save(kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    pixels = draw_xray(np.random.default_rng(len(kind)), Label.COVID, 128)
    Image.fromarray(pixels).save(target, format=kind, **options)  # type: ignore[arg-type]
    return target.getvalue()


def plant(incoming: Path) -> int:
    """Files that are scored, refused and deferred, all with the canary inside; how many are scored."""
    whole = {".dcm": canary_dicom(), ".png": canary_png(), ".jpg": canary_jpeg()}
    for ending, content in whole.items():
        (incoming / f"{NAMED}-whole{ending}").write_bytes(content)
        (incoming / f"{NAMED}-cut{ending}").write_bytes(content[: len(content) * 2 // 3])
        (incoming / f"{NAMED}-spoilt{ending}").write_bytes(_spoil(content))
    (incoming / f"{NAMED}-leg.dcm").write_bytes(canary_dicom(BodyPartExamined="LEG"))
    (incoming / f"{NAMED}-unknown.dcm").write_bytes(canary_dicom(Modality="US"))
    (incoming / f"{NAMED}-letter.png").write_bytes(f"Dear {CANARY}".encode())
    (incoming / f"{NAMED}-link.png").symlink_to(f"/{CANARY}")
    return len(whole)


def _spoil(content: bytes) -> bytes:
    """Random bytes in the middle, as a bad disk leaves them."""
    middle = len(content) // 2
    return content[:middle] + np.random.default_rng(1).bytes(200) + content[middle + 200 :]


def run(*arguments: str) -> str:
    """A command of ours; everything that it said."""
    done = xray(*arguments)
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def find_in_files(folder: Path, word: str, *, but: tuple[str, ...]) -> list[str]:
    """Files below a folder whose bytes or database rows hold a word, in any encoding that we know of."""
    spelled = {word.encode(), word.encode("utf-16-le"), word.encode("utf-16-be"), word.lower().encode()}
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink() or path.name in but:
            continue
        content = path.read_bytes() + dump(path)
        found += [str(path.relative_to(folder)) for spelling in spelled if spelling in content]
    return found


def dump(path: Path) -> bytes:
    """A SQLite database as text: a word may be cut by a page's end in its file."""
    if path.suffix != ".db":
        return b""
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump()).encode()


def find_in_columns(database: Path, word: str) -> set[tuple[str, str]]:
    """The columns (table, name) with a word in them."""
    return {(table, column) for table, column, value in _cells(database) if word in str(value)}


def _cells(database: Path) -> Iterator[tuple[str, str, object]]:
    with closing(sqlite3.connect(database)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            rows = connection.execute(f"SELECT * FROM {table}")  # noqa: S608  # our own tables
            columns = [column[0] for column in rows.description]
            for row in rows:
                yield from ((table, column, value) for column, value in zip(columns, row, strict=True))


def assert_private(settings: Settings) -> None:
    """No canary anywhere in the home but in the files that were delivered; names in their two columns alone."""
    delivered = tuple(
        path.name for folder in (settings.incoming_dir, settings.labels_dir) for path in folder.rglob("*")
    )
    for word in (CANARY, CANARY_DATE, CANARY_UID):
        assert find_in_files(settings.home, word, but=delivered) == []
    assert find_in_files(settings.home, NAMED, but=(*delivered, "xray.db")) == []
    assert find_in_columns(settings.home / "xray.db", NAMED) == NAME_COLUMNS
    key = (settings.home / "site.key").read_text().strip()
    assert find_in_files(settings.home, key, but=("site.key",)) == []


def test_no_name_date_or_uid_of_a_patient_is_written_or_said(
    settings: Settings, sqlite_home: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_FILE_NAMES_IN_EXPORTS", "false")
    scored = plant(settings.incoming_dir)

    said = [run("scan"), run("export"), run("worklist", "--out", str(settings.exports_dir / "worklist.csv"))]
    said += [run("status"), run("status", "--json"), run("verify"), run("doctor"), run("models", "list")]

    lines = read_lines(settings).values()
    assert count_results(settings) >= scored
    assert len(lines) == len(list(settings.incoming_dir.iterdir()))
    assert any(line.patient for line in lines)
    assert list(settings.exports_dir.glob("*.csv"))
    for word in (CANARY, CANARY_DATE, NAMED):
        assert not [one for one in said if word in one]
    assert_private(settings)


def test_the_same_patient_id_is_one_pseudonym_here_and_another_one_elsewhere(settings: Settings) -> None:
    for number in range(2):
        content = dicom(PatientID=CANARY, InstanceNumber=number)
        (settings.incoming_dir / f"film-{number}.dcm").write_bytes(content)
    run("scan")
    here = {line.patient for line in read_lines(settings).values()}

    assert here == {pseudonym(read_site_key(settings), CANARY)}
    assert pseudonym(bytes.fromhex("ab" * 32), CANARY) not in here


def test_file_names_stand_in_the_csv_only_while_the_setting_is_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(settings.incoming_dir)
    run("scan")

    run("export", "--out", "with.csv")
    monkeypatch.setenv("XRAY_FILE_NAMES_IN_EXPORTS", "false")
    run("export", "--out", "without.csv")

    assert NAMED in Path("with.csv").read_text()
    assert NAMED not in Path("without.csv").read_text()
    assert NAMED not in Path("without.csv.manifest.json").read_text()
