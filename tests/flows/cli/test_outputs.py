"""What a person may name with --out: a file that can be written, and never one that the service lives on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from flows.home.folders import refuse_folder, refuse_output
from flows.operations.verification import find_breach
from flows.reading.sitting import adjudicate_offline, write_offline
from flows.review.exports import write_export, write_worklist
from flows.settings import Settings
from tests.flows.cli.test_cli import xray
from tests.flows.scoring.test_scan import drop_xrays, scan
from xray_core.errors import RefusedInput

pytestmark = pytest.mark.processes

OURS = [
    "xray.db",
    "site.key",
    "ledger.head",
    ".env",
    "incoming/x.csv",
    "labels/x.csv",
    "models/x.csv",
    "run/x",
    "x.csv",
]


@pytest.mark.parametrize("name", OURS)
def test_an_export_never_takes_the_place_of_what_the_service_keeps(settings: Settings, name: str) -> None:
    with pytest.raises(RefusedInput, match=r"--out: received .*, which lies among what the service keeps in "):
        refuse_output(settings, settings.home / name)


def test_incoming_and_archive_elsewhere_are_as_safe(settings: Settings, tmp_path: Path) -> None:
    share, archive = tmp_path / "share", tmp_path / "archive"
    share.mkdir()
    archive.mkdir()
    (tmp_path / "link").symlink_to(share)
    elsewhere = settings.but({"incoming": share, "archive_dir": archive})

    for folder in (share, archive, tmp_path / "link"):
        with pytest.raises(RefusedInput, match="which lies among what the service keeps"):
            refuse_output(elsewhere, folder / "out.csv")
    refuse_output(elsewhere, tmp_path / "out.csv")
    refuse_output(elsewhere, settings.exports_dir / "out.csv")


def test_a_device_a_pipe_and_a_folder_are_no_files(settings: Settings, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(RefusedInput, match="which is no file that can be replaced"):
            refuse_output(settings, path)
    with pytest.raises(RefusedInput, match=f"received {tmp_path}, which is a folder; expected a file, as "):
        refuse_output(settings, tmp_path)
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "out.csv", tmp_path / "nosuch" / "out.csv"):
        with pytest.raises(RefusedInput, match="is no folder; expected a file in one that is there"):
            refuse_output(settings, path)


def test_a_link_to_nothing_is_never_replaced(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "a-share-that-is-not-mounted.csv")
    with pytest.raises(RefusedInput, match="which is no file that can be replaced"):
        refuse_output(settings, tmp_path / "link.csv")
    with pytest.raises(RefusedInput, match="where something is already; expected a new or empty folder"):
        refuse_folder(settings, tmp_path / "link.csv", option="--offline")


@pytest.mark.parametrize("name", [*OURS, "models/0001-untrained/off", "incoming/new/deep", "new"])
def test_a_folder_is_never_written_among_what_the_service_keeps(settings: Settings, name: str) -> None:
    (settings.models_dir / "0001-untrained").mkdir(exist_ok=True)
    before = sorted(settings.home.rglob("*"))
    with pytest.raises(RefusedInput, match=r"^--offline: received .*(lies among what the service|something is alread)"):
        refuse_folder(settings, settings.home / name, option="--offline")
    assert sorted(settings.home.rglob("*")) == before


def test_a_folder_may_be_new_at_any_depth_where_the_service_keeps_nothing(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "new" / "deep", settings.exports_dir / "anna"):
        refuse_folder(settings, folder, option="--offline")
    with pytest.raises(RefusedInput, match=f"and {tmp_path / 'file'} is no folder; expected a new folder in one"):
        refuse_folder(settings, tmp_path / "file" / "folder", option="--offline")
    with pytest.raises(RefusedInput, match="where something is already"):
        refuse_folder(settings, tmp_path, option="--offline")


def test_an_offline_list_is_never_written_into_a_model_s_folder(settings: Settings, tmp_path: Path) -> None:
    folder = settings.models_dir / "0001-untrained" / "off"
    for write in (write_offline, adjudicate_offline):
        with pytest.raises(RefusedInput, match="which lies among what the service keeps"):
            write(settings, "anna", folder, size=5, masked=True, say=print)
    assert not folder.exists()


def test_a_person_s_own_file_is_not_replaced_by_a_manifest(settings: Settings, tmp_path: Path) -> None:
    out, own = tmp_path / "q.csv", tmp_path / "q.csv.manifest.json"
    words = f"and {own}, where its manifest belongs, is there already and of no export"
    for content in ('{"mine": 1}', "[]", "no JSON"):
        own.write_text(content)
        with pytest.raises(RefusedInput, match=words):
            write_export(settings, out=out)
        with pytest.raises(RefusedInput, match=words):
            write_worklist(settings, out=out, limit=1)
        assert (own.read_text(), out.exists()) == (content, False)
    own.unlink()
    write_export(settings, out=out)
    out.rename(tmp_path / "moved-away.csv")
    write_export(settings, out=out)  # the manifest that stayed is of an export


@pytest.mark.lengthy
@pytest.mark.parametrize(
    "command", [("export",), ("worklist",), ("models", "compare", "0001-untrained", "0001-untrained")]
)
def test_every_command_with_an_output_refuses_it_in_one_sentence(
    settings: Settings, tmp_path: Path, command: tuple[str, ...]
) -> None:
    drop_xrays(settings.incoming_dir, 1)
    scan(settings)
    (tmp_path / "file").touch()

    for target in (tmp_path, tmp_path / "file" / "x.csv", tmp_path / "nosuch" / "x.csv", settings.home / "xray.db"):
        done = xray(*command, "--out", str(target))

        assert (done.returncode, done.stdout) == (2, "")
        (said,) = done.stderr.splitlines()
        assert said.startswith(f"xray: --out: received {target}, ")
        assert ".aside" not in said
    assert find_breach(settings)[0] is None


@pytest.mark.lengthy
def test_a_backup_below_a_file_and_a_name_that_is_too_long_are_one_sentence_each(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    backup = xray("backup", str(tmp_path / "file" / "backup"))
    export = xray("export", "--out", str(tmp_path / ("x" * 250)))

    assert backup.returncode == 2
    assert backup.stderr == (
        f"xray: {tmp_path / 'file' / 'backup'}: {tmp_path / 'file'} is no folder; expected a new folder for the backup "
        "in one\n"
    )
    assert export.returncode == 1
    assert len(export.stderr.splitlines()) == 1
    assert export.stderr.startswith(f"xray: '{tmp_path / ('x' * 250)}")
    assert export.stderr.endswith("': File name too long\n")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "home"}


def test_a_file_name_that_is_no_text_is_as_good_as_any(settings: Settings, tmp_path: Path) -> None:
    out = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv"))

    write_export(settings, out=out)

    assert out.exists()
    assert json.loads((out.parent / f"{out.name}.manifest.json").read_bytes())["file"] == r"\xff.csv"


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("check",), "--out"),
        (("agreement",), "--plot"),
        (("adjudicate", "--reader", "Anna"), "--csv"),
    ],
)
@pytest.mark.lengthy
def test_no_command_on_labels_takes_the_place_of_the_ledger(
    settings: Settings, words: tuple[str, ...], option: str
) -> None:
    drop_xrays(settings.incoming_dir, 1)
    scan(settings)
    ledger = settings.home / "xray.db"

    done = xray("labels", *words, option, str(ledger))

    assert (done.returncode, done.stdout) == (2, "")
    assert f"{option}: received {ledger}, which lies among what the service keeps" in done.stderr
    assert find_breach(settings)[0] is None


@pytest.mark.parametrize("command", ["export", "worklist"])
def test_a_file_without_a_row_says_what_to_do_first(settings: Settings, tmp_path: Path, command: str) -> None:
    empty = xray(command, "--out", str(tmp_path / "empty.csv"))
    drop_xrays(settings.incoming_dir, 1)
    scan(settings)

    full = xray(command, "--out", str(tmp_path / "full.csv"))

    assert "0 rows in" in empty.stdout
    assert "then `xray scan`" in empty.stdout
    assert "then `xray scan`" not in full.stdout, full.stderr


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("labels", "check"), "--out"),
        (("labels", "agreement"), "--plot"),
        (("labels", "adjudicate", "--reader", "Anna"), "--csv"),
        (("models", "compare", "0001-untrained", "0001-untrained"), "--out"),
        (("export",), "--out"),
        (("worklist",), "--out"),
    ],
)
@pytest.mark.lengthy
def test_no_command_overwrites_a_persons_own_file(
    settings: Settings, tmp_path: Path, words: tuple[str, ...], option: str
) -> None:
    own = tmp_path / "labels.csv"
    own.write_text("filename,label\na.png,covid\n")

    done = xray(*words, option, str(own))

    assert (done.returncode, done.stdout) == (2, "")
    assert f"{option}: received {own}, which is there already" in done.stderr
    assert own.read_text() == "filename,label\na.png,covid\n"


def test_an_agreement_of_nobody_is_not_drawn_and_says_so(settings: Settings, tmp_path: Path) -> None:
    plot = tmp_path / "agreement.png"

    done = xray("labels", "agreement", "--plot", str(plot))

    assert done.returncode == 0
    assert done.stderr == f"{plot} was not written: no film was read by two readers, or twice by one\n"
    assert not plot.exists()
