"""What a killed command leaves half written is named, and goes when it is a day old: never sooner, never for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.home.backup import back_up
from flows.operations.verification import find_breach, list_unfinished
from flows.review.exports import write_export
from flows.settings import Settings
from flows.training.claim import open_trainer
from tests.faults.scanners import ROOT, drop_many
from tests.flows.scoring.test_scan import scan
from tests.patience import here
from xray_core.synthetic.xrays import write_sample_set

pytestmark = [pytest.mark.processes, pytest.mark.lengthy]


def kill_before_renaming_into(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.programs", "die_before_renaming_into", str(folder), *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=here(300),
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def age(path: Path) -> None:
    a_day_ago = time.time() - 86_401
    os.utime(path, (a_day_ago, a_day_ago))


def open_training(settings: Settings) -> None:
    with open_trainer(settings):
        pass


def assert_named_until_it_is_a_day_old(settings: Settings, path: Path, tidy: Callable[[Settings], object]) -> None:
    told = str(path.relative_to(settings.home) if path.is_relative_to(settings.home) else path)
    assert list_unfinished(settings) == [told]
    verified = subprocess.run(
        [sys.executable, "-m", "flows", "verify"], capture_output=True, text=True, check=False, timeout=here(300)
    )
    assert verified.returncode == 0, verified.stderr
    assert f"    {told}: being written, or left by a process that was killed; a day old, it is removed" in (
        verified.stdout.splitlines()
    )

    tidy(settings)
    assert path.exists()
    age(path)
    tidy(settings)

    assert not path.exists()
    assert list_unfinished(settings) == []
    assert find_breach(settings)[0] is None


@pytest.mark.keras
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("tidy", [scan, pytest.param(open_training, marks=pytest.mark.slow)], ids=["scan", "training"])
def test_the_folder_of_a_killed_training(
    settings: Settings, tmp_path: Path, tidy: Callable[[Settings], object]
) -> None:
    write_sample_set(tmp_path / "dataset", per_class=24, patients=24, seed=1)
    patients = ("--patients", str(tmp_path / "dataset" / "patients.csv"))
    train = ("train", str(tmp_path / "dataset"), *patients, "--epochs", "1", "--input-size", "32")

    kill_before_renaming_into(settings.models_dir, *train)

    (left,) = settings.models_dir.glob(".saving-*")
    assert_named_until_it_is_a_day_old(settings, left, tidy)


@pytest.mark.parametrize("tidy", [scan, open_training], ids=["scan", "training"])
def test_the_file_of_a_killed_export(settings: Settings, tidy: Callable[[Settings], object]) -> None:
    drop_many(settings.incoming_dir, 2)
    scan(settings)

    kill_before_renaming_into(settings.exports_dir, "export")

    left = [path for path in settings.exports_dir.iterdir() if path.name.startswith(".aside-")]
    assert len(left) == 2  # the CSV and its manifest
    for path in left[1:]:
        path.unlink()
    assert_named_until_it_is_a_day_old(settings, left[0], tidy)


def test_the_file_of_a_killed_export_elsewhere_goes_with_the_next_export_there(
    settings: Settings, tmp_path: Path
) -> None:
    drop_many(settings.incoming_dir, 2)
    scan(settings)
    folder = tmp_path / "results"
    folder.mkdir()
    kill_before_renaming_into(folder, "export", "--out", str(folder / "results.csv"))
    left = list(folder.iterdir())
    assert len(left) == 2

    write_export(settings, out=folder / "results.csv")
    assert all(path.exists() for path in left)
    for path in left:
        age(path)
    write_export(settings, out=folder / "results.csv")

    assert {path.name for path in folder.iterdir()} == {"results.csv", "results.csv.manifest.json"}


def test_no_labels_are_refused_without_their_list_of_problems(settings: Settings) -> None:
    bad, refused = settings.labels_dir / "bad.csv", settings.labels_dir / "refused"
    bad.write_text("filename,label\nnobody.png,covid\n")

    kill_before_renaming_into(refused, "take in labels")

    (left,) = refused.iterdir()
    assert bad.exists()
    assert_named_until_it_is_a_day_old(settings, left, scan)


def test_a_list_of_folders_and_a_key_that_were_being_written(settings: Settings) -> None:
    kill_before_renaming_into(settings.home, "scan")  # the list of its folders

    (left,) = settings.home.glob(".aside-*")
    assert_named_until_it_is_a_day_old(settings, left, scan)


def test_a_killed_backup_with_its_copy_of_the_key_goes_with_the_next_one(
    settings: Settings, tmp_path: Path, sqlite_home: None
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    kill_before_renaming_into(folder, "backup", str(folder / "first"))
    (left,) = folder.iterdir()
    assert (left / "site.key").exists()

    back_up(settings, folder / "second")
    assert left.exists()
    age(left)
    back_up(settings, folder / "third")

    assert {path.name for path in folder.iterdir()} == {"second", "third"}
