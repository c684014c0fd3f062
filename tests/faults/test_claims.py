"""Claims of scanners that died or cannot be asked: every file is scored, by one of them, and once."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update

from db.engine import open_engine, snapshot, transaction
from db.scoring.tables import IncomingFileRow
from flows.home.ledger import find_anchor
from flows.operations.verification import find_breach
from flows.settings import Settings
from tests.faults.scanners import (
    ROOT,
    assert_all_scored_once,
    drop_many,
    read_states,
    scored_contents,
    start,
    wait_until,
)
from tests.flows.scoring.test_scan import scan
from tests.patience import here
from xray_core.records import FileState

pytestmark = pytest.mark.processes

PAST = datetime(2020, 1, 1, tzinfo=UTC)


@contextmanager
def scanner_named_otherwise(**variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A scan under another host name."""
    command = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh", sys.executable]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XRAY_BATCH_SIZE": "4"} | variables
    scanner = subprocess.Popen(
        [*command, "-m", "flows", "scan"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield scanner
    finally:
        scanner.kill()
        scanner.wait()


@contextmanager
def scanner_elsewhere(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """A scan on another host as far as anyone can tell: another name, and a home of its own on the same ledger."""
    home = settings.home.with_name("home-elsewhere")
    shutil.copytree(settings.home, home, ignore=shutil.ignore_patterns("run", "incoming", "xray.db*"))
    with scanner_named_otherwise(
        XRAY_HOME=str(home), XRAY_DATABASE_URL=settings.url, XRAY_INCOMING=str(settings.incoming_dir)
    ) as scanner:
        yield scanner


def held_elsewhere(settings: Settings) -> set[str]:
    """The names of files that a scanner of the other host has claimed and not decided on."""
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    row = IncomingFileRow
    with snapshot(engine) as session:
        found = session.scalars(
            select(row.name).where(row.claimed_by.startswith("elsewhere."), row.state == FileState.NEW)
        ).all()
    engine.dispose()
    return set(found)


def end_leases(settings: Settings) -> None:
    """As if the hour of every claim were over."""
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with transaction(engine) as session:
        session.execute(
            update(IncomingFileRow).where(IncomingFileRow.claimed_by.is_not(None)).values(claimed_until=PAST)
        )
    engine.dispose()


@pytest.mark.usefixtures("_other_hosts")
def test_a_claim_of_another_host_is_respected_until_its_lease_ends_and_then_taken_over(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_LEASE_SECONDS", "3600")
    drop_many(settings.incoming_dir, 400)
    with scanner_elsewhere(settings) as scanner:
        wait_until(lambda: held_elsewhere(settings), seconds=30)
        scanner.kill()
        scanner.wait()
    held = held_elsewhere(settings)
    assert held

    scan(settings)  # takes what nobody holds
    left = {name for name, state in read_states(settings).items() if state is FileState.NEW}
    end_leases(settings)
    scan(settings)

    assert left == held
    assert_all_scored_once(settings)


@pytest.mark.usefixtures("_other_hosts")
def test_what_a_killed_scan_held_is_taken_over_at_once_though_the_host_has_another_name_now(settings: Settings) -> None:
    drop_many(settings.incoming_dir, 400)
    with scanner_named_otherwise() as scanner:  # as a container that is killed, and starts again under a new name
        wait_until(lambda: held_elsewhere(settings), seconds=60)
        scanner.kill()
        scanner.wait()
    assert held_elsewhere(settings)

    scan(settings)

    assert set(read_states(settings).values()) == {FileState.SCORED}
    assert_all_scored_once(settings)


def stop_between_writes(process: subprocess.Popen[bytes], settings: Settings) -> None:
    """Stop it, but not while it holds SQLite's one lock: whoever is stopped then keeps all others waiting."""
    process.send_signal(signal.SIGSTOP)
    while settings.database_url is None:
        try:
            with closing(sqlite3.connect(settings.home / "xray.db", timeout=1)) as database:
                database.execute("BEGIN IMMEDIATE")
                return
        except sqlite3.OperationalError:
            process.send_signal(signal.SIGCONT)
            time.sleep(0.05)
            process.send_signal(signal.SIGSTOP)


@pytest.mark.usefixtures("_other_hosts")
def test_a_scanner_that_slept_past_its_lease_writes_nothing_over_what_another_did(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_LEASE_SECONDS", "1")
    drop_many(settings.incoming_dir, 300)
    with scanner_elsewhere(settings) as sleeper:
        wait_until(lambda: held_elsewhere(settings), seconds=30)
        stop_between_writes(sleeper, settings)
        wait_until(lambda: held_elsewhere(settings), seconds=5)
        time.sleep(1.2)
        scan(settings)
        written = scored_contents(settings)

        sleeper.send_signal(signal.SIGCONT)

        assert sleeper.wait(here(60)) == 0
    assert scored_contents(settings) == written
    assert_all_scored_once(settings)


def test_a_scan_killed_right_after_any_of_its_commits_leaves_nothing_that_is_done_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Committed, and nobody has heard of it: the instant in which a naive scanner would score twice."""
    monkeypatch.setenv("XRAY_BATCH_SIZE", "4")
    killed, unheard = 0, 0
    for commits in range(1, 40):
        drop_many(settings.incoming_dir, 9, seed=commits)
        before = set(scored_contents(settings))
        scanner = start("tests.faults.programs", "scan_until_commit", str(commits), said=tmp_path / "said.txt")
        if scanner.wait(here(60)) == 0:
            break
        assert scanner.returncode == -signal.SIGKILL, (tmp_path / "said.txt").read_text()
        killed += 1
        unheard += len(set(scored_contents(settings)) - before)
        assert find_breach(settings)[0] is None

    assert killed >= 4
    assert unheard >= 9, "no kill came between a batch's commit and what follows it"
    scan(settings)
    assert_all_scored_once(settings)
