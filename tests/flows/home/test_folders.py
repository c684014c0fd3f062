"""The data home is private, its key is made once, and a full disk is noticed before anything is written."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from flows.home.folders import check_free_space
from flows.home.ledger import prepare_ledger
from flows.home.process_lock import hold_scanner_lock, is_scanner_alive
from flows.home.site_key import pseudonym, read_site_key
from flows.settings import Settings
from xray_core.errors import LowDisk


def test_a_fresh_home_is_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")

    prepare_ledger(settings)

    folders = [settings.home, settings.incoming_dir, settings.labels_dir, settings.exports_dir, settings.models_dir]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    assert stat.S_IMODE((settings.home / "site.key").stat().st_mode) == 0o600


@pytest.mark.processes
def test_the_site_key_survives_a_second_start(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    prepare_ledger(settings)
    first = read_site_key(settings)

    prepare_ledger(settings)

    assert read_site_key(settings) == first
    assert len(first) == 32


@pytest.mark.processes
def test_processes_that_start_together_agree_on_one_site_key(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from flows.home.ledger import prepare_ledger\n"
        "from flows.home.site_key import read_site_key\n"
        "from flows.settings import Settings\n"
        f"s = Settings(home=Path({str(tmp_path)!r}) / 'home'); prepare_ledger(s); print(read_site_key(s).hex())"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(4)]

    keys = {process.communicate()[0] for process in processes}

    assert len(keys) == 1
    assert keys != {b""}


def test_a_patient_has_one_pseudonym_under_one_key_and_another_under_another() -> None:
    name = pseudonym(b"key", "PAT-0001")

    assert name == pseudonym(b"key", " PAT-0001 ")
    assert name != pseudonym(b"other", "PAT-0001")
    assert "PAT" not in name


def test_intake_pauses_before_the_disk_is_full(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, min_free_mib=2**40)

    with pytest.raises(LowDisk, match="intake pauses below"):
        check_free_space(settings)


def test_a_lock_is_alive_while_its_process_holds_it(tmp_path: Path) -> None:
    with hold_scanner_lock(tmp_path) as scanner:
        alive = is_scanner_alive(tmp_path, scanner)

    assert alive
    assert not is_scanner_alive(tmp_path, scanner)
    assert list(tmp_path.glob("*.lock")) == []


def test_the_lock_of_a_killed_process_is_dead_at_once(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from flows.home.process_lock import hold_scanner_lock; import time\n"
        f"with hold_scanner_lock(Path({str(tmp_path)!r})) as scanner: print(scanner, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    scanner = process.stdout.readline().strip()
    assert is_scanner_alive(tmp_path, scanner)

    process.kill()
    process.communicate()

    assert not is_scanner_alive(tmp_path, scanner)


def test_a_scanner_on_another_host_cannot_be_asked_so_its_lease_decides(tmp_path: Path) -> None:
    assert is_scanner_alive(tmp_path, "some-other-host.0123456789abcdef")


def leave_dead_lock(run_dir: Path) -> str:
    """The name of a scanner that was killed."""
    code = (
        "import os; from pathlib import Path; from flows.home.process_lock import hold_scanner_lock\n"
        f"with hold_scanner_lock(Path({str(run_dir)!r})) as scanner: print(scanner, flush=True); os._exit(9)"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stdout.strip()


def test_a_killed_process_is_dead_whatever_the_host_is_called_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanner = leave_dead_lock(tmp_path)
    monkeypatch.setattr("socket.gethostname", lambda: "another-container")

    assert [is_scanner_alive(tmp_path, scanner) for _ in range(3)] == [False] * 3


def test_a_living_process_is_alive_whatever_the_host_is_called_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hold_scanner_lock(tmp_path) as scanner:
        monkeypatch.setattr("socket.gethostname", lambda: "another-container")

        assert is_scanner_alive(tmp_path, scanner)
    assert not is_scanner_alive(tmp_path, scanner)


def test_two_homes_of_one_host_are_not_taken_for_each_other(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    leave_dead_lock(here)
    shutil.copytree(here, there)  # as a home that was copied with its run folder

    with hold_scanner_lock(there) as scanner:
        assert is_scanner_alive(here, scanner)
    assert is_scanner_alive(here, scanner)  # it cannot be asked there: its lease decides
    assert not is_scanner_alive(there, scanner)


def test_locks_of_the_long_dead_are_removed_and_those_of_the_living_never(tmp_path: Path) -> None:
    leave_dead_lock(tmp_path)
    with hold_scanner_lock(tmp_path) as living:
        for path in tmp_path.glob("*.lock"):
            os.utime(path, (0, 0))
        with hold_scanner_lock(tmp_path) as younger:
            left = {path.name for path in tmp_path.glob("*.lock")}

    assert left == {f"{living}.lock", f"{younger}.lock"}
