"""Many scanners of one ledger, killed, asleep, on hosts of their own: every film once, and little work done again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.operations.verification import find_breach
from flows.settings import Settings
from tests.databases import server_url
from tests.faults.fleet import Berth, Fleet, make_second_home, twice
from tests.faults.scanners import ROOT, assert_all_scored_once, drop_many, read_states

pytestmark = [pytest.mark.processes, pytest.mark.lengthy]

on_a_server = pytest.mark.skipif(server_url() is None, reason="`make test-postgres`: SQLite is for one host")

# What is inferred together and recorded together, and what a scanner holds at most before it has recorded any of it.
BATCH, HELD = 64, 128


@contextmanager
def sailing(fleet: Fleet) -> Iterator[Fleet]:
    fleet.start()
    try:
        yield fleet
    finally:
        fleet.sink()


def report(what: str, fleet: Fleet) -> None:
    print(
        f"{what}: {len(fleet.inferred())} films, {twice(fleet.inferred())} inferred twice, "
        f"{twice(fleet.claimed())} claimed again, {fleet.empty_claims()} of {fleet.claims()} claims empty"
    )


@on_a_server
@pytest.mark.parametrize(
    ("films", "kills"),
    [(2_000, 5), pytest.param(10_000, 20, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])],
)
def test_four_scanners_of_which_some_are_killed_score_every_film_once(
    settings: Settings, tmp_path: Path, films: int, kills: int
) -> None:
    drop_many(settings.incoming_dir, films)
    with sailing(Fleet(settings, tmp_path / "notes", [Berth(settings.home)] * 4)) as fleet:
        for kill in range(1, kills + 1):
            fleet.wait_for(films * kill // (kills + 2))
            fleet.kill_one()
        fleet.finish()

    report(f"four scanners, {kills} killed", fleet)
    assert_all_scored_once(settings)
    assert twice(fleet.inferred()) <= kills * BATCH
    assert twice(fleet.claimed()) <= kills * HELD


@on_a_server
def test_four_scanners_seldom_ask_the_one_writer_for_what_others_have(settings: Settings, tmp_path: Path) -> None:
    drop_many(settings.incoming_dir, 2_000)
    with sailing(Fleet(settings, tmp_path / "notes", [Berth(settings.home)] * 4)) as fleet:
        fleet.finish()

    report("four scanners", fleet)
    assert_all_scored_once(settings)
    assert twice(fleet.inferred()) == 0
    assert fleet.empty_claims() < fleet.claims() / 2


@on_a_server
@pytest.mark.usefixtures("_other_hosts")
def test_three_hosts_of_which_one_sleeps_past_its_lease_score_every_film_once(
    settings: Settings, tmp_path: Path
) -> None:
    films, kills = 2_000, 3
    drop_many(settings.incoming_dir, films)
    berths = [Berth(make_second_home(settings, f"home-{name}"), name) for name in ("alpha", "beta", "gamma")]
    variables = {"XRAY_LEASE_SECONDS": "5", "XRAY_INCOMING": str(settings.incoming_dir)}
    with sailing(Fleet(settings, tmp_path / "notes", berths, variables)) as fleet:
        fleet.wait_for(films // 6)
        fleet.put_one_to_sleep(10)
        for kill in range(1, kills + 1):
            fleet.wait_for(films * (kill + 1) // 6)
            fleet.kill_one()
        fleet.finish()

    report(f"three hosts, one asleep for 10 s of a lease of 5 s, {kills} killed", fleet)
    assert_all_scored_once(settings)
    assert twice(fleet.inferred()) <= kills * BATCH + HELD
    assert twice(fleet.claimed()) <= (kills + 1) * HELD


def test_two_homes_of_one_host_and_one_database_infer_no_film_twice(settings: Settings, tmp_path: Path) -> None:
    drop_many(settings.incoming_dir, 400)
    berths = [Berth(settings.home), Berth(make_second_home(settings, "second"))]
    variables = {"XRAY_DATABASE_URL": settings.url, "XRAY_INCOMING": str(settings.incoming_dir)}
    with sailing(Fleet(settings, tmp_path / "notes", berths, variables)) as fleet:
        fleet.finish()

    report("two homes", fleet)
    assert twice(fleet.inferred()) == 0
    assert_all_scored_once(settings)


def test_a_home_with_another_key_ends_with_one_sentence_and_claims_nothing(settings: Settings) -> None:
    drop_many(settings.incoming_dir, 5)
    home = make_second_home(settings, "stranger")
    (home / "site.key").write_text("77" * 32 + "\n")
    variables = {"XRAY_HOME": str(home), "XRAY_DATABASE_URL": settings.url, "XRAY_INCOMING": str(settings.incoming_dir)}

    done = subprocess.run(
        [sys.executable, "-m", "flows", "scan"],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "fingerprint" in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert read_states(settings) == {}
    assert find_breach(settings)[0] is None
