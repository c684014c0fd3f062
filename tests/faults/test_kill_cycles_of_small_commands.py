"""The commands that write little, killed before each of their commits and renames; `xray verify` after each kill."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
from pathlib import Path

import pytest

from flows.operations.missing_films import let_missing_go
from flows.operations.verification import find_breach
from flows.registry.models import list_models
from flows.settings import Settings
from tests.faults.kills import KILLS, count_kills, kill_at_steps, run_until
from tests.faults.programs import register_twin
from tests.faults.scanners import ROOT, drop_many
from tests.flows.scoring.test_scan import scan
from tests.networks import lung_contrast_network

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(3600)]


def test_what_reviewers_dropped(settings: Settings) -> None:
    drop_many(settings.incoming_dir, 3)
    scan(settings)
    rows = "".join(f"{path.name},covid,someone\n" for path in sorted(settings.incoming_dir.iterdir()))

    def arguments(_: int) -> tuple[str, ...]:
        (settings.labels_dir / "good.csv").write_text(f"filename,label,reviewer\n{rows}")
        (settings.labels_dir / "bad.csv").write_text("filename,label,reviewer\nnobody.png,covid,someone\n")
        return ("take in labels",)

    kills = kill_at_steps(settings, arguments)

    refused = [path.name for path in (settings.labels_dir / "refused").iterdir() if path.suffix == ".csv"]
    assert kills >= 1
    assert all((settings.labels_dir / "refused" / f"{name}.problems.txt").exists() for name in refused)


def test_archiving_scans(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    monkeypatch.setenv("XRAY_ARCHIVE_DIR", str(archive))
    monkeypatch.setenv("XRAY_BATCH_SIZE", "2")
    archiving = settings.but({"archive_dir": archive})
    fresh = itertools.count(1)

    def arguments(_: int) -> tuple[str, ...]:
        drop_many(settings.incoming_dir, 3, seed=next(fresh))
        return ("scan",)

    kills = kill_at_steps(archiving, arguments)

    assert kills >= 1
    scan(archiving)
    assert list(settings.incoming_dir.glob("xray-*")) == []
    assert len(list(archive.rglob("xray-*"))) == 3 * (next(fresh) - 1)
    assert find_breach(archiving)[0] is None


def test_shadow_scans(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    register_twin(settings, "0002-twin")
    monkeypatch.setenv("XRAY_SHADOW", "true")
    fresh = itertools.count(1)

    def arguments(_: int) -> tuple[str, ...]:
        drop_many(settings.incoming_dir, 2, seed=next(fresh))
        return ("scan",)

    assert kill_at_steps(settings, arguments) >= 1


def test_imports_of_patients(settings: Settings, tmp_path: Path) -> None:
    drop_many(settings.incoming_dir, 3)
    scan(settings)
    rows = "".join(f"{path.name},P{n}\n" for n, path in enumerate(sorted(settings.incoming_dir.iterdir())))
    (tmp_path / "patients.csv").write_text(f"filename,patient_id\n{rows}")

    arguments = ("patients", "import", str(tmp_path / "patients.csv"))

    assert kill_at_steps(settings, lambda _: arguments) >= 1


def test_readers_their_lists_and_what_their_pages_saved(settings: Settings, tmp_path: Path) -> None:
    drop_many(settings.incoming_dir, 3)
    scan(settings)
    head = "list,position,label,sure,exclude_reason,flagged_note,shown_at,seconds,prior_used,request_id"
    said = (f"1,{n},covid,true,,,2026-05-01T09:00:00Z,3.5,false,{str(n) * 32}" for n in (1, 2, 3))
    (tmp_path / "labels.csv").write_text("\r\n".join((head, *said)))
    offline = lambda number: ("review", "--reader", "anna", "--offline", str(tmp_path / f"folder-{number}"))  # noqa: E731

    added = kill_at_steps(settings, lambda _: ("readers", "add", "anna"))
    listed = kill_at_steps(settings, offline)
    imported = kill_at_steps(settings, lambda _: ("labels", "import", str(tmp_path / "labels.csv")))

    assert min(added, listed, imported) >= 1
    whole = [folder for folder in tmp_path.glob("folder-*") if (folder / "review.html").exists()]
    assert [folder.name for folder in whole] == [f"folder-{listed}"]


def test_new_homes(settings: Settings, tmp_path: Path, sqlite_home: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that was killed while it was made is finished by the next `init`, with the key that it has."""
    monkeypatch.setenv("XRAY_HOME", str(tmp_path / "new"))
    new = Settings(home=tmp_path / "new", settle_seconds=0)

    kills = 0
    for step in range(200):
        done = run_until(step, "init")
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
        again = run_until(10_000, "init")
        assert again.returncode == 0, again.stderr
        assert find_breach(new)[0] is None
        assert (new.home / "retraining-policy.toml").read_bytes() == (ROOT / "retraining-policy.toml").read_bytes()
        shutil.rmtree(new.home)
    count_kills(kills)
    assert kills >= 1


def test_acceptances_of_another_device(settings: Settings) -> None:
    known = settings.home / "folders.json"
    scan(settings)
    device = settings.incoming_dir.stat().st_dev

    def arguments(_: int) -> tuple[str, ...]:
        known.write_text(json.dumps({"incoming": {"path": str(settings.incoming_dir), "device": device + 1}}))
        return ("init", "--accept-folders")

    kills = kill_at_steps(settings, arguments)

    assert kills >= 1
    assert json.loads(known.read_text())["incoming"]["device"] == device


def test_films_that_are_let_go(settings: Settings) -> None:
    drop_many(settings.incoming_dir, 3)
    scan(settings)
    for film in settings.incoming_dir.iterdir():
        film.unlink()
    let_missing_go(settings)
    drop_many(settings.incoming_dir, 3, seed=1)
    scan(settings)
    next(iter(sorted(settings.incoming_dir.iterdir()))).unlink()

    kills = 0
    for step in range(200):
        done = run_until(step, "verify", "--let-go")
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
    count_kills(kills)
    assert kills >= 1
    assert find_breach(settings)[0] is None


@pytest.mark.keras
def test_imports_of_models(settings: Settings, tmp_path: Path) -> None:
    lung_contrast_network().save(tmp_path / "ours.keras")
    arguments = ("models", "import", str(tmp_path / "ours.keras"), "--positive-output", "covid", "--scaling", "unit")

    kills = kill_at_steps(settings, lambda _: arguments)

    assert kills >= 1
    folders = {folder.name for folder in settings.models_dir.iterdir() if not folder.name.startswith(".")}
    assert {model.version for model in list_models(settings)} <= folders
    assert find_breach(settings)[0] is None


def test_these_were_a_hundred_kills(request: pytest.FixtureRequest) -> None:
    """Those of a whole slow run of the kill cycles; the count is printed with `-s`."""
    cycles = {item.nodeid for item in request.session.items if item.path.name.startswith("test_kill_cycles")}
    if not cycles - {request.node.nodeid} <= KILLS.keys() or len(cycles) < 20:
        pytest.skip("counts a whole run: pytest -s -m slow tests/faults/test_kill_cycles*.py")

    print(f"{KILLS.total()} kills in all")
    assert KILLS.total() >= 100
