"""SIGKILL at any instant: nothing lost, nothing twice, nothing half done."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from db.engine import open_engine, snapshot
from db.records import Stage, TrainingState
from db.registry import training_runs
from flows.home.backup import back_up, restore
from flows.home.ledger import find_anchor, prepare_ledger
from flows.home.site_key import read_site_key
from flows.operations.status import read_status
from flows.operations.verification import find_breach
from flows.registry.models import list_models
from flows.settings import Settings
from flows.training.claim import claim_labels, open_trainer
from tests.faults.programs import register_twin
from tests.faults.scanners import (
    assert_all_scored_once,
    drop_many,
    kill_after,
    read_states,
    scored_contents,
    start,
    start_program,
    start_scan,
    start_working_scan,
    wait_until,
)
from tests.flows.scoring.test_scan import scan
from tests.patience import here
from xray_core.networks.options import TrainingOptions
from xray_core.records import FileState
from xray_core.synthetic.xrays import write_sample_set

pytestmark = pytest.mark.processes

STOPPED = "xray: stopped; what was written is whole, the rest is done by the next scan"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kills", [5, pytest.param(30, marks=pytest.mark.slow)])
def test_a_scanner_killed_at_work_again_and_again_loses_nothing_and_scores_nothing_twice(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    monkeypatch.setenv("XRAY_BATCH_SIZE", "4")
    chance = random.Random(1)
    killed, progress = 0, [0]

    for cycle in itertools.count():
        drop_many(settings.incoming_dir, 100, seed=cycle)
        scanner = start_scan() if cycle % 5 == 0 else start_working_scan(settings)
        if cycle % 2:
            wait_until(
                lambda scanner=scanner: len(scored_contents(settings)) > progress[-1] or scanner.poll() is not None,
                seconds=300,
            )
        killed += kill_after(scanner, chance.uniform(0, 0.4))
        assert find_breach(settings)[0] is None
        progress.append(len(scored_contents(settings)))
        # A kill counts when it met a process at work, a cycle when it scored something: however long that takes.
        if killed >= kills and len(set(progress)) > kills / 3:
            break
    last = start_scan()

    assert last.wait(here(300)) == 0
    assert progress == sorted(progress)
    assert_all_scored_once(settings)


@pytest.mark.slow
def test_two_scanners_that_are_killed_in_turn_share_a_folder_without_a_duplicate(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_BATCH_SIZE", "4")
    drop_many(settings.incoming_dir, 200)
    chance = random.Random(2)

    for _ in range(5):
        scanners = [start_scan(), start_working_scan(settings)]
        kill_after(scanners[0], chance.uniform(0, 0.5))
        kill_after(scanners[1], chance.uniform(0, 0.3))
        assert find_breach(settings)[0] is None
    last = [start_scan(), start_scan()]

    assert [scanner.wait(here(100)) for scanner in last] == [0, 0]
    scan(settings)
    assert_all_scored_once(settings)


def test_a_file_that_a_killed_scanner_held_is_scored_by_the_next_scan_at_once(settings: Settings) -> None:
    drop_many(settings.incoming_dir, 400)
    scanner = start_scan()
    wait_until(lambda: FileState.NEW in read_states(settings).values(), seconds=30)
    scanner.kill()
    scanner.wait()
    assert FileState.NEW in read_states(settings).values()

    scan(settings)

    assert_all_scored_once(settings)


def test_no_decoder_outlives_its_scanner(settings: Settings) -> None:
    drop_many(settings.incoming_dir, 1500)
    scanner = start_scan()
    wait_until(lambda: decoders_of(scanner), seconds=30)
    family = psutil.Process(scanner.pid).children(recursive=True)
    assert len(family) >= 2  # their server, and at least one of them

    scanner.kill()
    scanner.wait()

    wait_until(lambda: not any(is_alive(child) for child in family), seconds=15)


def test_killed_decoders_cost_no_file(settings: Settings) -> None:
    drop_many(settings.incoming_dir, 1500)
    scanner = start_scan()
    killed: list[int] = []
    for kill in range(3):
        # What the last one had in hand is done: a film that is lost with two decoders is blamed for it.
        wait_until(lambda kill=kill: len(scored_contents(settings)) > 200 * kill, seconds=60)
        wait_until(lambda: decoders_of(scanner, but=killed), seconds=30)
        decoder = decoders_of(scanner, but=killed)[0]
        decoder.kill()
        killed.append(decoder.pid)

    assert scanner.wait(here(60)) == 0
    assert_all_scored_once(settings)


@pytest.mark.parametrize("send", [os.kill, pytest.param(os.killpg, marks=pytest.mark.slow)])
def test_a_scan_that_is_told_to_end_says_so_within_ten_seconds_and_the_next_one_finishes(
    settings: Settings, tmp_path: Path, send: Callable[[int, int], None]
) -> None:
    """A service manager tells the process alone, or its decoders with it."""
    drop_many(settings.incoming_dir, 1500)
    said = tmp_path / "said.txt"
    scanner = start("flows", "scan", said=said, own_group=True)
    wait_until(lambda: FileState.SCORED in read_states(settings).values(), seconds=30)
    family = psutil.Process(scanner.pid).children(recursive=True)

    send(scanner.pid, signal.SIGTERM)
    told_at = time.monotonic()
    code = scanner.wait(here(30))

    assert time.monotonic() - told_at < here(10)
    assert code == 143, said.read_text()
    assert said.read_text().splitlines() == [STOPPED]
    wait_until(lambda: not any(is_alive(child) for child in family), seconds=10)
    written = read_states(settings)
    assert FileState.NEW in written.values()  # claimed, and not finished
    assert set(written.values()) == {FileState.NEW, FileState.SCORED}
    assert find_breach(settings)[0] is None
    assert "problem: it was stopped" in " ".join(read_status(settings).lines())
    scan(settings)
    assert_all_scored_once(settings)
    assert "last scan: " in " ".join(read_status(settings).lines())
    assert "stopped" not in " ".join(read_status(settings).lines())


def test_a_scan_may_be_told_to_end_at_any_moment(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a statement, say: a database driver that is interrupted there speaks of a lost connection."""
    monkeypatch.setenv("XRAY_BATCH_SIZE", "2")
    chance = random.Random(10)
    codes: list[int] = []

    for cycle in itertools.count():
        drop_many(settings.incoming_dir, 150, seed=cycle)
        locks = set((settings.home / "run").glob("*.lock"))
        said = tmp_path / f"said-{cycle}.txt"
        scanner = start("flows", "scan", said=said)
        wait_until(lambda: set((settings.home / "run").glob("*.lock")) - locks, seconds=60)  # noqa: B023
        time.sleep(chance.uniform(0, 1.2))
        scanner.send_signal(signal.SIGTERM)
        codes.append(scanner.wait(here(10)))
        first, _, more = said.read_text().partition("\n")
        has_ended = " scored" in first  # the signal met a program that was printing its figures or on its way out
        assert codes[-1] == 143 or (has_ended and codes[-1] in (0, -signal.SIGTERM)), said.read_text()
        assert has_ended or (first, more) == (STOPPED, "")
        assert find_breach(settings)[0] is None
        if cycle >= 4 and codes.count(143) >= 2:  # the signal met a scan in its middle at least twice
            break

    scan(settings)
    assert_all_scored_once(settings)


def test_a_scan_that_is_told_to_end_while_it_waits_for_the_database_does_not_wait_for_it(
    settings: Settings, tmp_path: Path
) -> None:
    drop_many(settings.incoming_dir, 20)
    holder = start_program("hold_database", "60", said=tmp_path / "held.txt")
    said = tmp_path / "said.txt"
    scanner = start("flows", "scan", said=said)
    wait_until(lambda: list((settings.home / "run").glob("*.lock")), seconds=60)
    time.sleep(1)  # for the claim, which cannot be had
    assert scanner.poll() is None

    scanner.send_signal(signal.SIGTERM)
    told_at = time.monotonic()
    code = scanner.wait(here(30))

    assert time.monotonic() - told_at < here(10)
    assert code == 143
    assert said.read_text().splitlines() == [STOPPED]
    holder.kill()
    holder.wait()
    scan(settings)
    assert_all_scored_once(settings)


@pytest.mark.slow
def test_a_promotion_that_is_killed_leaves_one_champion_whose_files_verify(settings: Settings, tmp_path: Path) -> None:
    register_twin(settings, "0002-twin")
    chance = random.Random(3)
    champions: set[str] = set()

    for cycle in itertools.count():
        promoter = start_program("promote_for_ever", said=tmp_path / "said.txt")
        kill_after(promoter, chance.uniform(0.05, 0.5))
        champion = [model.version for model in list_models(settings) if model.stage is Stage.CHAMPION]
        champions.update(champion)
        assert len(champion) == 1
        assert find_breach(settings)[0] is None
        if cycle >= 9 and champions == {"0001-untrained", "0002-twin"}:  # promotions were made, and kills met them
            break

    drop_many(settings.incoming_dir, 1)
    assert scan(settings).scored == 1


def test_a_model_folder_is_there_whole_or_not_at_all_when_its_writer_is_killed(
    settings: Settings, tmp_path: Path
) -> None:
    chance = random.Random(4)

    for number in range(4):
        saver = start_program("save_for_ever", str(number), said=tmp_path / "said.txt")
        wait_until(lambda number=number: list(settings.models_dir.glob(f"9{number}*")), seconds=60)
        kill_after(saver, chance.uniform(0.02, 0.3))
        assert find_breach(settings)[0] is None

    saved = [folder for folder in settings.models_dir.iterdir() if not folder.name.startswith(".")]
    assert len(saved) > 4
    assert all((folder / "model.json").exists() for folder in saved)


def test_a_training_that_is_killed_is_given_out_again_and_changes_no_champion(
    settings: Settings, tmp_path: Path
) -> None:
    write_sample_set(tmp_path / "dataset", per_class=24, patients=24, seed=1)
    patients = ("--patients", str(tmp_path / "dataset" / "patients.csv"))
    arguments = ("train", str(tmp_path / "dataset"), *patients, "--epochs", "1000", "--input-size", "32")
    said = tmp_path / "said.txt"
    trainer = start("flows", *arguments, said=said)
    wait_until(lambda: "epoch" in said.read_text() or trainer.poll() is not None, seconds=100)
    assert trainer.poll() is None, said.read_text()
    assert read_training(settings) is TrainingState.RUNNING

    trainer.kill()
    trainer.wait()

    assert [model.stage for model in list_models(settings)] == [Stage.CHAMPION]
    assert find_breach(settings)[0] is None
    with open_trainer(settings) as claimant:
        assert claim_labels(claimant, TrainingOptions(), trigger="by hand") is not None


@pytest.mark.slow
def test_backups_taken_while_scanners_are_killed_restore_to_a_home_that_verifies(
    settings: Settings, tmp_path: Path, sqlite_home: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_BATCH_SIZE", "4")
    chance = random.Random(6)
    results: list[int] = []

    for number in range(5):
        drop_many(settings.incoming_dir, 160, seed=number)
        scanner, before = start_working_scan(settings), len(scored_contents(settings))
        wait_until(lambda: len(scored_contents(settings)) > before, seconds=60)  # noqa: B023
        time.sleep(chance.uniform(0, 0.3))
        back_up(settings, tmp_path / f"backup-{number}")
        scanner.kill()
        scanner.wait()
        restored = Settings(home=tmp_path / f"restored-{number}", incoming=settings.incoming_dir)
        restore(restored, tmp_path / f"backup-{number}")
        assert find_breach(restored)[0] is None
        assert read_site_key(restored) == read_site_key(settings)
        assert set(scored_contents(restored)) <= set(scored_contents(settings))
        results.append(len(scored_contents(restored)))

    assert results == sorted(results)
    assert results[-1] > 0
    prepare_ledger(restored)
    scan(restored)
    assert_all_scored_once(restored)


def read_training(settings: Settings) -> TrainingState:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with snapshot(engine) as session:
        (run,) = training_runs.list_trainings(session)
    engine.dispose()
    return run.state


def decoders_of(scanner: subprocess.Popen[bytes], *, but: Sequence[int] = ()) -> list[psutil.Process]:
    """The decoder processes but those named: children of the fork server, which is a child of the scanner."""
    children = psutil.Process(scanner.pid).children()
    found = [decoder for child in children for decoder in child.children() if is_alive(decoder)]
    return [decoder for decoder in found if decoder.pid not in but]


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
