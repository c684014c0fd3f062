"""Films are found by content, study and image, and joined with a PACS, without any of its UIDs being kept."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from pydicom import dcmread

from flows.home.site_key import read_site_key
from flows.operations.file_story import explain
from flows.operations.pseudonyms import name_uids
from flows.review.exports import write_export
from flows.settings import Settings
from tests.dicom_files import dicom
from tests.films import FILMS
from tests.flows.cli.test_cli import xray
from tests.flows.scoring.test_scan import drop_xrays, read_lines, scan
from tests.flows.test_privacy import find_in_files
from xray_core.errors import RefusedInput
from xray_core.imaging.dicom.identifiers import read_uid
from xray_core.imaging.records import UidKind

pytestmark = pytest.mark.processes

STUDY = "1.2.826.0.1.3680043.777.41"
OF_THE_REFUSED = "images of this study that were refused are found by name or SHA-256 only"


@pytest.mark.parametrize(
    ("text", "uid"),
    [
        (" 1.2.840.10008.1.2\0", "1.2.840.10008.1.2"),
        ("1.2." + "3" * 60, "1.2." + "3" * 60),
        ("1.2." + "3" * 61, None),
        ("Doe^Jane", None),
        ("['1.2', '1.3']", None),
        ("1..2", None),
        ("19130807", None),
        ("", None),
    ],
)
def test_what_is_no_uid_is_none(text: str, uid: str | None) -> None:
    assert read_uid(text) == uid


def drop_study(settings: Settings) -> None:
    """Two images of one study, another without a study, and a picture that has neither."""
    for name, tags in {
        "a.dcm": {"StudyInstanceUID": STUDY, "SOPInstanceUID": f"{STUDY}.1"},
        "b.dcm": {"StudyInstanceUID": STUDY, "SOPInstanceUID": f"{STUDY}.2"},
        "c.dcm": {"StudyInstanceUID": None, "SOPInstanceUID": f"{STUDY}.3"},
    }.items():
        (settings.incoming_dir / name).write_bytes(dicom(**tags))
    drop_xrays(settings.incoming_dir, 1)


def test_why_tells_of_a_content_of_a_study_and_of_an_image(settings: Settings) -> None:
    drop_study(settings)
    scan(settings)
    lines = read_lines(settings)
    found = lines["a.dcm"]
    assert found.xray_sha256
    assert found.study
    assert found.image
    assert (lines["c.dcm"].study, lines["xray-0-000.png"].study, lines["xray-0-000.png"].image) == (None, None, None)

    def named(word: str) -> list[str]:
        return [file.name for file in explain(settings, Path(word)).files]

    assert named(found.study) == ["a.dcm", "b.dcm"]
    assert named(found.image) == named(found.xray_sha256) == named(found.xray_sha256[:16].upper()) == ["a.dcm"]
    told = explain(settings, Path(found.study)).lines
    assert [line for line in told if not line.startswith(" ")] == ["a.dcm:", "b.dcm:", OF_THE_REFUSED]
    assert told[-1] == OF_THE_REFUSED
    for one in (found.image, found.xray_sha256, "c.dcm"):
        assert OF_THE_REFUSED not in explain(settings, Path(one)).lines
    assert explain(settings, Path("0" * 32)).lines[1].startswith("  neither a file in ")
    assert named(found.xray_sha256[:15]) == named(f"incoming/{found.study}") == []


def test_an_image_of_a_study_that_was_refused_is_said_to_be_found_by_name_or_content_alone(settings: Settings) -> None:
    drop_study(settings)
    leg = dicom(StudyInstanceUID=STUDY, SOPInstanceUID=f"{STUDY}.9", BodyPartExamined="LEG")
    (settings.incoming_dir / "leg.dcm").write_bytes(leg)
    scan(settings)
    lines = read_lines(settings)
    study, sha256 = lines["a.dcm"].study, lines["leg.dcm"].xray_sha256
    assert study
    assert sha256

    story = explain(settings, Path(study))

    assert [file.name for file in story.files] == ["a.dcm", "b.dcm"]
    assert story.lines[-1] == OF_THE_REFUSED
    for word in ("leg.dcm", sha256):
        assert [file.name for file in explain(settings, Path(word)).files] == ["leg.dcm"]


def test_a_refused_film_is_found_by_its_content_and_a_name_comes_before_a_content(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 1)
    (settings.incoming_dir / "leg.dcm").write_bytes(dicom(BodyPartExamined="LEG"))
    scan(settings)
    lines = read_lines(settings)
    sha256, other = lines["leg.dcm"].xray_sha256, lines["xray-0-000.png"].xray_sha256
    assert sha256
    assert other

    assert [file.name for file in explain(settings, Path(sha256)).files] == ["leg.dcm"]
    shutil.copy(settings.incoming_dir / "leg.dcm", settings.incoming_dir / other)
    scan(settings)
    assert [file.name for file in explain(settings, Path(other)).files] == [other]


def test_uids_become_the_pseudonyms_of_the_results_and_what_is_none_is_refused_unsaid(settings: Settings) -> None:
    drop_study(settings)
    scan(settings)
    given = f"\ufeff{STUDY}.2\r\n\r\n{STUDY}.1\n"
    lines = read_lines(settings)

    said = xray("pseudonyms", "image", "--json", given=given)

    expected = [lines["b.dcm"].image, "", lines["a.dcm"].image]
    assert json.loads(said.stdout) == {"kind": "image", "pseudonyms": expected}
    assert list(name_uids(settings, UidKind.STUDY, [STUDY.encode()])) == [lines["a.dcm"].study]
    with pytest.raises(RefusedInput, match="standard input, line 2: received no UID") as refusal:
        list(name_uids(settings, UidKind.STUDY, [STUDY.encode(), b"ZZCANARY"]))
    assert "ZZCANARY" not in str(refusal.value)


@pytest.mark.films
@pytest.mark.lengthy
def test_real_films_join_with_their_archive_by_pseudonyms_alone(settings: Settings, sqlite_home: None) -> None:
    sources = sorted((FILMS / "dicom").iterdir())
    headers = {}
    for number, source in enumerate(sources):
        name = f"film-{number}.dcm"
        shutil.copy(source, settings.incoming_dir / name)
        headers[name] = dcmread(source, stop_before_pixels=True)
    scan(settings)
    exported = write_export(settings, out=settings.exports_dir / "out.csv")

    with exported.path.open(newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file) if row["state"] == "scored"}

    # The others are legs, a dog and a tag that says CT.
    assert (len(sources), len(rows)) == (12, 6)
    for kind, keyword in ((UidKind.STUDY, "StudyInstanceUID"), (UidKind.IMAGE, "SOPInstanceUID")):
        uids = {name: str(headers[name][keyword].value) for name in rows}
        named = name_uids(settings, kind, [uid.encode() for uid in uids.values()])
        assert {name: row[kind] for name, row in rows.items()} == dict(zip(uids, named, strict=True))
        for uid in uids.values():
            assert find_in_files(settings.home, uid, but=tuple(headers)) == []
    # Two of them are one image with other tags.
    assert len({row["image"] for row in rows.values()}) == len({headers[name].SOPInstanceUID for name in rows}) == 5


def test_another_sites_key_gives_other_pseudonyms(settings: Settings) -> None:
    here = list(name_uids(settings, UidKind.IMAGE, [STUDY.encode()]))
    key = settings.home / "site.key"
    assert read_site_key(settings)
    key.chmod(0o600)
    key.write_text("ab" * 32)

    assert list(name_uids(settings, UidKind.IMAGE, [STUDY.encode()])) != here


def test_a_study_and_an_image_of_one_uid_have_two_pseudonyms(settings: Settings) -> None:
    study, image = (next(name_uids(settings, kind, [STUDY.encode()])) for kind in UidKind)

    assert study != image


@pytest.mark.lengthy
def test_the_command_tells_of_both_images_of_a_study(settings: Settings) -> None:
    drop_study(settings)
    scan(settings)
    study = read_lines(settings)["a.dcm"].study
    assert study

    done = xray("why", study, "--json")

    assert [file["name"] for file in json.loads(done.stdout)["files"]] == ["a.dcm", "b.dcm"]
    assert STUDY not in done.stdout
