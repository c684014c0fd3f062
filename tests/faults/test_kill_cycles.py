"""Every command that writes, killed before each of its commits and renames in turn; `xray verify` after each kill."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from db.records import Stage
from flows.home.backup import back_up
from flows.operations.verification import find_breach
from flows.registry.models import list_models, promote_by_hand
from flows.settings import Settings
from tests.faults.kills import kill_at_steps
from tests.faults.programs import register_twin
from tests.faults.scanners import assert_all_scored_once, drop_many
from tests.flows.scoring.test_scan import scan
from xray_core.synthetic.xrays import write_sample_set

pytestmark = [pytest.mark.processes, pytest.mark.timeout(3600)]

# `make test` kills before every fifth step, `make test-slow` before every one.
STEPS = pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])


@STEPS
def test_scans(settings: Settings, monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    monkeypatch.setenv("XRAY_BATCH_SIZE", "2")
    fresh = itertools.count(1)

    def arguments(_: int) -> tuple[str, ...]:
        drop_many(settings.incoming_dir, 6, seed=next(fresh))
        return ("scan",)

    kills = kill_at_steps(settings, arguments, every=every)

    assert kills >= 1
    scan(settings)
    assert_all_scored_once(settings)


@STEPS
def test_exports(settings: Settings, tmp_path: Path, every: int) -> None:
    drop_many(settings.incoming_dir, 3)
    scan(settings)
    target = tmp_path / "results.csv"

    kills = kill_at_steps(settings, lambda _: ("export", "--out", str(target)), every=every, first=every - 1 and 1)

    assert kills >= 1
    assert target.read_bytes().count(b"\n") == 4


@STEPS
def test_imports_of_labels(settings: Settings, tmp_path: Path, every: int) -> None:
    drop_many(settings.incoming_dir, 3)
    scan(settings)
    rows = "".join(f"{path.name},covid,someone\n" for path in sorted(settings.incoming_dir.iterdir()))
    (tmp_path / "labels.csv").write_text(f"filename,label,reviewer\n{rows}")

    kills = kill_at_steps(
        settings, lambda _: ("labels", "import", str(tmp_path / "labels.csv")), every=every, first=every - 1 and 1
    )

    assert kills >= 1


@STEPS
def test_backups(settings: Settings, tmp_path: Path, sqlite_home: None, every: int) -> None:
    drop_many(settings.incoming_dir, 3)
    scan(settings)

    kills = kill_at_steps(
        settings,
        lambda number: ("backup", str(tmp_path / f"backup-{number}"), "--with-xrays"),
        every=every,
        first=every - 1 and 1,
    )

    whole = [folder for folder in tmp_path.glob("backup-*") if folder.is_dir()]
    assert kills >= 1
    assert [folder.name for folder in whole] == [f"backup-{kills}"]


@STEPS
def test_restores(
    settings: Settings, tmp_path: Path, sqlite_home: None, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    drop_many(settings.incoming_dir, 3)
    scan(settings)
    back_up(settings, tmp_path / "backup", with_xrays=True)
    monkeypatch.setenv("XRAY_HOME", str(tmp_path / "restored"))

    kills = kill_at_steps(
        settings,
        lambda _: ("restore", str(tmp_path / "backup")),
        every=every,
        first=every - 1 and 1,
        done_before="has a ledger already",
    )

    assert kills >= 1
    assert find_breach(Settings(home=tmp_path / "restored"))[0] is None


@STEPS
@pytest.mark.parametrize("command", ["promote", "rollback"])
def test_promotions_and_rollbacks(settings: Settings, command: str, every: int) -> None:
    register_twin(settings, "0002-twin")
    promote_by_hand(settings, "0002-twin", "for the test")
    arguments = {
        "promote": ("models", "promote", "0001-untrained", "--override", "--reason", "for the test"),
        "rollback": ("models", "rollback", "--reason", "for the test"),
    }

    kills = kill_at_steps(settings, lambda _: arguments[command], every=every)

    assert kills >= 1
    assert [model.version for model in list_models(settings) if model.stage is Stage.CHAMPION] == ["0001-untrained"]


# Each of its steps is a whole training.
@pytest.mark.slow
def test_trainings_between_the_renaming_of_the_model_folder_and_the_commit(settings: Settings, tmp_path: Path) -> None:
    write_sample_set(tmp_path / "dataset", per_class=24, patients=24, seed=1)
    patients = ("--patients", str(tmp_path / "dataset" / "patients.csv"))
    train = ("train", str(tmp_path / "dataset"), *patients, "--epochs", "1", "--input-size", "32")

    kills = kill_at_steps(settings, lambda _: train)

    folders = {folder.name for folder in settings.models_dir.iterdir() if not folder.name.startswith(".")}
    assert kills >= 1
    assert {model.version for model in list_models(settings)} <= folders
