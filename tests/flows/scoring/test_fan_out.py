"""Batches on a real Dask scheduler with real workers: every film once, whoever is killed; the ledger counts."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from db.engine import open_engine, transaction
from db.scoring.tables import IncomingFileRow
from flows.home.ledger import find_anchor
from flows.operations.verification import find_breach
from flows.scoring.counts import ScanCounts
from flows.scoring.fan_out import _PATIENCE_SECONDS, score_on_dask
from flows.scoring.scan import open_scan
from flows.settings import Settings
from tests.databases import server_url
from tests.flows.scoring.test_scan import count_results, drop_xrays
from tests.patience import here
from xray_core.errors import PersonNeeded, RefusedInput, WrongSiteKey

pytest.importorskip("distributed", reason="Dask is not installed: pip install 'xray-scoring[dask]'")

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(server_url() is not None, reason="once is enough: the ledger's part is tested on both"),
]

Start = Callable[..., subprocess.Popen[bytes]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """Start one of Dask's own programs in the home's environment; it ends with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]]
        with (tmp_path / f"dask-{len(started)}.log").open("wb") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=tmp_path, env=environment(settings) | variables
            )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def environment(settings: Settings) -> dict[str, str]:
    checkout = str(Path(__file__).parents[3])
    return os.environ | {
        "XRAY_HOME": str(settings.home),
        "XRAY_SETTLE_SECONDS": "0",
        "XRAY_LEASE_SECONDS": "2",
        "PYTHONPATH": checkout,
        "PYTHONWARNINGS": "ignore",
        "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5s",
    }


@pytest.fixture
def scheduler(start: Start) -> str:
    """The address of a scheduler without workers."""
    port = free_port()
    start_scheduler(start, port)
    return f"127.0.0.1:{port}"


def start_scheduler(start: Start, port: int) -> subprocess.Popen[bytes]:
    """One that listens."""
    process = start("dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--no-show")
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.1)


def start_worker(start: Start, scheduler: str, nanny: str = "--no-nanny", **variables: str) -> subprocess.Popen[bytes]:
    command = (f"tcp://{scheduler}", nanny, "--nthreads", "1", "--host", "127.0.0.1", "--no-dashboard")
    return start("dask_worker", *command, **variables)


def scan_on(
    settings: Settings, scheduler: str, monkeypatch: pytest.MonkeyPatch, on_progress: Callable[[int], None] = print
) -> ScanCounts:
    monkeypatch.setattr("flows.scoring.scan.FILES_PER_BATCH", 16)
    changed = settings.but({"task_runner": f"dask://{scheduler}", "lease_seconds": 2})
    with open_scan(changed) as scan:
        score_on_dask(scan, on_progress=on_progress)
    return scan.counts


def test_films_are_scored_by_the_workers_and_counted_from_the_ledger(
    settings: Settings, scheduler: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_xrays(settings.incoming_dir, 40)
    (settings.incoming_dir / "link.png").symlink_to("/etc/passwd")
    (settings.incoming_dir / "half.png").write_bytes((settings.incoming_dir / "xray-0-000.png").read_bytes()[:500])
    for _ in range(2):
        start_worker(start, scheduler)

    counts = scan_on(settings, scheduler, monkeypatch)

    assert (counts.scored, dict(counts.rejected), counts.deferred.total()) == (40, {"SYMLINK": 1}, 1)
    assert count_results(settings) == 40
    assert scan_on(settings, scheduler, monkeypatch).files == 0
    assert find_breach(settings)[0] is None


@pytest.mark.slow
def test_killed_workers_cost_no_film_and_double_none_even_where_all_are_dead_for_a_while(
    settings: Settings, scheduler: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_xrays(settings.incoming_dir, 2000)
    workers = [start_worker(start, scheduler) for _ in range(2)]
    seen = 0

    def kill_some(_: int) -> None:
        nonlocal seen
        seen += 1
        if seen in (3, 6, 9):
            workers[seen // 3 - 1].send_signal(signal.SIGKILL)
            workers.append(start_worker(start, scheduler))
        if seen == 12:
            for worker in workers:
                worker.kill()
            time.sleep(20)
            workers.extend(start_worker(start, scheduler) for _ in range(2))

    counts = scan_on(settings, scheduler, monkeypatch, kill_some)

    assert seen > 12
    assert count_results(settings) == 2000
    assert counts.scored == 2000
    assert find_breach(settings)[0] is None


def test_a_scan_that_leaves_films_which_nobody_decided_on_does_not_end_well(
    settings: Settings, scheduler: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    (film,) = drop_xrays(settings.incoming_dir, 1)
    film.write_bytes(film.read_bytes()[:500])
    assert scan_here(settings).deferred.total() == 1
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with transaction(engine) as session:
        claim = {"claimed_by": "other.folder.token", "claimed_until": datetime(2100, 1, 1, tzinfo=UTC)}
        session.execute(update(IncomingFileRow).values(retry_at=IncomingFileRow.deferred_since, **claim))
    engine.dispose()
    monkeypatch.setattr("flows.scoring.fan_out._ROUNDS", 1)
    start_worker(start, scheduler)

    with pytest.raises(PersonNeeded, match="1 film could not be decided on, though sent to the workers 2 times"):
        scan_on(settings, scheduler, monkeypatch)


def scan_here(settings: Settings) -> ScanCounts:
    with open_scan(settings) as scan:
        for batch in scan.find_batches():
            scan.score(batch)
    return scan.counts


def test_a_worker_under_a_nanny_is_named_in_one_sentence(
    settings: Settings, scheduler: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_xrays(settings.incoming_dir, 2)
    start_worker(start, scheduler, "--nanny")

    with pytest.raises(PersonNeeded, match="--no-nanny"):
        scan_on(settings, scheduler, monkeypatch)


def test_a_scheduler_without_workers_is_waited_for_no_longer_than_a_lease_and_ten_minutes(
    settings: Settings, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_xrays(settings.incoming_dir, 2)
    assert _PATIENCE_SECONDS == 600
    monkeypatch.setattr("flows.scoring.fan_out._PATIENCE_SECONDS", 1)

    with pytest.raises(PersonNeeded, match="no Dask worker finished a batch for 3 s: are there workers"):
        scan_on(settings, scheduler, monkeypatch)

    assert count_results(settings) == 0


def test_a_scheduler_that_dies_is_one_sentence_and_the_next_scan_does_the_rest(
    settings: Settings, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_xrays(settings.incoming_dir, 60)
    port = free_port()
    process, address = start_scheduler(start, port), f"127.0.0.1:{port}"
    worker = start_worker(start, address)

    with pytest.raises(PersonNeeded, match="the Dask scheduler went away: start it and its workers again"):
        scan_on(settings, address, monkeypatch, lambda _: process.kill())

    worker.kill()
    worker.wait()
    scan_here(settings)
    assert count_results(settings) == 60
    assert find_breach(settings)[0] is None


def test_a_worker_without_the_service_is_one_sentence(
    settings: Settings, scheduler: str, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_xrays(settings.incoming_dir, 2)
    (tmp_path / "other" / "flows" / "scoring").mkdir(parents=True)  # others of these names; a bare host has nothing
    (tmp_path / "other" / "flows" / "__init__.py").touch()
    (tmp_path / "other" / "flows" / "scoring" / "__init__.py").touch()
    worker = start_worker(start, scheduler, PYTHONPATH=str(tmp_path / "other"))
    monkeypatch.setattr("flows.scoring.fan_out._PATIENCE_SECONDS", 20)

    with pytest.raises(PersonNeeded, match="is xray-scoring installed where they run"):
        scan_on(settings, scheduler, monkeypatch)

    assert worker.wait(here(30)) is not None  # it ends by itself at the first batch

    assert count_results(settings) == 0


def test_a_worker_with_another_key_claims_nothing_and_says_so(
    settings: Settings, scheduler: str, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_xrays(settings.incoming_dir, 2)
    home = tmp_path / "other"
    shutil.copytree(settings.home, home, ignore=shutil.ignore_patterns("run", "incoming", "xray.db*"))
    (home / "site.key").write_text("77" * 32 + "\n")
    elsewhere = {"XRAY_DATABASE_URL": settings.url, "XRAY_INCOMING": str(settings.incoming_dir)}
    start_worker(start, scheduler, XRAY_HOME=str(home), **elsewhere)

    with pytest.raises(WrongSiteKey, match="fingerprint"):
        scan_on(settings, scheduler, monkeypatch)

    assert count_results(settings) == 0


def test_an_address_where_nobody_answers_is_one_sentence_and_claims_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_xrays(settings.incoming_dir, 2)
    monkeypatch.setattr("flows.scoring.fan_out._CONNECT_SECONDS", 1)

    with pytest.raises(PersonNeeded, match="no Dask scheduler answers"):
        scan_on(settings, f"127.0.0.1:{free_port()}", monkeypatch)

    assert count_results(settings) == 0


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("dask://10.0.0.7:8786", "runs what anybody sends it"),
        ("tcp://127.0.0.1:8786", "expected local"),
        ("dask://127.0.0.1", "expected local"),
        ("dask", "expected local"),
        ("ray://127.0.0.1:1", "expected local"),
    ],
)
def test_only_this_machine_or_tls_is_an_address(address: str, sentence: str) -> None:
    with pytest.raises(RefusedInput, match=sentence):
        Settings(task_runner=address)


def test_a_local_scan_imports_nothing_of_dask(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 1)
    code = (
        "import sys\nfrom flows.deployments import score_incoming\nfrom flows.cli.app import main\n"
        "sys.argv = ['xray', 'scan']\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
        "sys.exit(len({'dask', 'distributed', 'obstore'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, "1 scored" in done.stdout) == (0, True), done.stderr
