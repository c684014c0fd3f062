"""A disk that fills up: what was committed is whole, no file is blamed, and the next run completes."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.operations.verification import find_breach
from flows.review.exports import write_export
from flows.settings import Settings
from tests.faults.scanners import assert_all_scored_once, drop_many, read_states, scored_contents
from tests.flows.scoring.test_scan import scan
from xray_core.records import FileState

pytestmark = pytest.mark.processes


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system in memory, of 2 MiB to begin with; a home and its models fit, a thousand results do not."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here ({mounted.stderr.strip()}); RLIMIT_FSIZE is tried instead")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path, *, leave: int) -> None:
    """Use up the disk but for so many bytes."""
    spare = shutil.disk_usage(disk).free - leave
    (disk / "filling").write_bytes(b"x" * spare)


def run_scan(settings: Settings, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows", "scan"]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


def assert_one_sentence_and_exit_1(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 1, done
    assert done.stderr.startswith("xray: "), done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


@pytest.fixture
def home_on_small_disk(
    settings: Settings, sqlite_home: None, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """The test's home on the small disk; X-rays arrive on another one."""
    home = small_disk / "home"
    shutil.copytree(settings.home, home)
    monkeypatch.setenv("XRAY_HOME", str(home))
    monkeypatch.setenv("XRAY_INCOMING", str(settings.incoming_dir))
    monkeypatch.setenv("XRAY_MIN_FREE_MIB", "0")
    monkeypatch.setenv("XRAY_BATCH_SIZE", "8")
    return settings.but({"home": home, "incoming": settings.incoming_dir, "min_free_mib": 0})


def test_a_scan_onto_a_full_disk_keeps_what_was_committed_blames_no_file_and_goes_on_later(
    home_on_small_disk: Settings, small_disk: Path
) -> None:
    settings = home_on_small_disk
    drop_many(settings.incoming_dir, 600)
    fill(small_disk, leave=220_000)

    stopped = run_scan(settings)

    assert_one_sentence_and_exit_1(stopped)
    assert "free some space" in stopped.stderr
    written = scored_contents(settings)
    assert 0 < len(written) < 600
    assert FileState.REJECTED not in read_states(settings).values()
    assert find_breach(settings)[0] is None

    (small_disk / "filling").unlink()
    subprocess.run(["mount", "-o", "remount,size=6m", str(small_disk)], check=True)
    assert run_scan(settings).returncode == 0
    assert set(written) <= set(scored_contents(settings))
    assert_all_scored_once(settings)


def test_a_disk_without_a_single_free_byte_stops_the_scan_with_a_sentence(
    home_on_small_disk: Settings, small_disk: Path
) -> None:
    settings = home_on_small_disk
    drop_many(settings.incoming_dir, 10)
    fill(small_disk, leave=0)

    assert_one_sentence_and_exit_1(run_scan(settings))

    (small_disk / "filling").unlink()
    assert scan(settings).scored == 10
    assert find_breach(settings)[0] is None


def test_a_scan_below_the_watermark_writes_nothing(
    home_on_small_disk: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = home_on_small_disk
    monkeypatch.setenv("XRAY_MIN_FREE_MIB", "100")
    drop_many(settings.incoming_dir, 3)
    before = (settings.home / "xray.db").read_bytes()

    stopped = run_scan(settings)

    assert_one_sentence_and_exit_1(stopped)
    assert "XRAY_MIN_FREE_MIB" in stopped.stderr
    assert (settings.home / "xray.db").read_bytes() == before


def test_a_scan_that_may_write_no_more_keeps_what_was_committed(settings: Settings, sqlite_home: None) -> None:
    """What a full disk is where nothing can be mounted: the kernel refuses every byte beyond a limit."""
    drop_many(settings.incoming_dir, 600)
    limit = (settings.home / "xray.db").stat().st_size + 60_000

    def forbid() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write then fails with EFBIG
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    stopped = run_scan(settings, preexec_fn=forbid)

    assert_one_sentence_and_exit_1(stopped)
    assert FileState.REJECTED not in read_states(settings).values()
    assert find_breach(settings)[0] is None
    assert len(scored_contents(settings)) < 600
    scan(settings)
    assert_all_scored_once(settings)


def test_an_export_onto_a_full_disk_keeps_the_old_file(settings: Settings, small_disk: Path) -> None:
    drop_many(settings.incoming_dir, 300)
    scan(settings)
    target = small_disk / "results.csv"
    write_export(settings, out=target)
    before = {path.name: path.read_bytes() for path in small_disk.iterdir()}
    drop_many(settings.incoming_dir, 100, seed=1)
    scan(settings)
    fill(small_disk, leave=20_000)

    command = [sys.executable, "-m", "flows", "export", "--out", str(target)]
    stopped = subprocess.run(command, capture_output=True, text=True, check=False)

    assert_one_sentence_and_exit_1(stopped)
    (small_disk / "filling").unlink()
    assert {path.name: path.read_bytes() for path in small_disk.iterdir()} == before
    assert write_export(settings, out=target).rows == 400


@pytest.mark.parametrize("options", [(), ("--with-xrays",)])
def test_a_backup_onto_a_full_disk_leaves_nothing_that_looks_like_one(
    settings: Settings, sqlite_home: None, small_disk: Path, options: tuple[str, ...]
) -> None:
    for number in range(30 if options else 0):  # the ledger and the models fit, the films do not
        (settings.incoming_dir / f"film-{number}.png").write_bytes(bytes(2**20))
    fill(small_disk, leave=1_900_000 if options else 100_000)

    command = [sys.executable, "-m", "flows", "backup", str(small_disk / "backup"), *options]
    stopped = subprocess.run(command, capture_output=True, text=True, check=False)

    assert_one_sentence_and_exit_1(stopped)
    assert [path.name for path in small_disk.iterdir()] == ["filling"]
