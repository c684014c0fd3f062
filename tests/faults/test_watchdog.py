"""The watchdog: a service that has stopped scanning says so, whatever its server thinks."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from db.engine import open_engine, transaction
from db.scoring.tables import ScanRow
from flows.home.ledger import find_anchor
from flows.operations.scan_problem import say_problem
from flows.operations.schedule import Schedule, write_schedule
from flows.operations.status import SCAN_INTERVAL, read_status
from flows.scoring.counts import ScanCounts, find_problem
from flows.settings import Settings
from tests.flows.scoring.test_scan import drop_xrays, scan
from xray_core.errors import NoChampion

pytestmark = pytest.mark.processes


def status() -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows", "status"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def turn_back(settings: Settings, by: timedelta) -> None:
    """Make the scans that were recorded so much older."""
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with transaction(engine) as session:
        then = datetime.now(UTC) - by
        session.execute(update(ScanRow).values(started_at=then, finished_at=then))
    engine.dispose()


def serve(settings: Settings) -> None:
    """As `xray up` leaves a home: a schedule that scans it, and nobody at home."""
    write_schedule(settings, Schedule("http://127.0.0.1:9/api", "xray-pool", ("score-incoming",)))


def test_status_ends_with_1_when_the_last_good_scan_is_older_than_three_intervals(settings: Settings) -> None:
    serve(settings)
    scan(settings)
    fresh = status()
    turn_back(settings, 3 * SCAN_INTERVAL + timedelta(seconds=5))

    stale = status()

    assert (fresh.returncode, stale.returncode) == (0, 1)
    assert "more than three intervals ago" in stale.stdout
    assert "xray up" in stale.stdout
    scan(settings)
    assert status().returncode == 0


def test_a_scan_that_a_wrong_clock_dated_years_ahead_is_an_alarm_until_one_with_the_right_time(
    settings: Settings,
) -> None:
    scan(settings)
    turn_back(settings, timedelta(days=-3650))

    ahead = status()
    scan(settings)

    assert ahead.returncode == 1
    assert "in the future" in ahead.stdout
    assert status().returncode == 0


def test_scans_by_hand_are_never_late(settings: Settings) -> None:
    scan(settings)
    turn_back(settings, timedelta(days=300))

    told = status()

    assert told.returncode == 0
    assert "ALARM" not in told.stdout


def test_a_schedule_that_a_person_paused_is_said_and_is_why_scans_are_late(settings: Settings) -> None:
    paused = Schedule("http://127.0.0.1:9/api", "xray-pool", ("score-incoming",), paused=("score-incoming",))
    write_schedule(settings, paused)
    scan(settings)
    fresh = status()
    turn_back(settings, timedelta(hours=1))

    late = status()

    assert fresh.returncode == 0
    assert "paused by a person: score-incoming" in fresh.stdout
    assert late.returncode == 1
    assert "score-incoming is paused by a person" in late.stdout


def test_scans_that_all_fail_are_an_alarm_with_the_reason(empty_settings: Settings) -> None:
    drop_xrays(empty_settings.incoming_dir, 1)
    with pytest.raises(NoChampion):
        scan(empty_settings)

    alarms = read_status(empty_settings).alarms

    assert any("the last one: there is no champion to score with" in alarm for alarm in alarms)
    assert not any("NoChampion" in line for line in read_status(empty_settings).lines())


def test_a_home_that_never_scanned_is_new_and_not_late(settings: Settings) -> None:
    assert status().returncode == 0


@pytest.mark.parametrize(
    ("scored", "without_score", "problem"), [(95, 5, None), (94, 6, "NonFiniteScores"), (0, 0, None)]
)
def test_a_scan_whose_model_had_no_number_for_many_x_rays_is_no_good_scan(
    scored: int, without_score: int, problem: str | None
) -> None:
    counts = ScanCounts(
        outcomes=Counter(positive=scored), rejected=Counter(NON_FINITE_SCORE=without_score, TOO_SMALL=50)
    )

    assert find_problem(counts) == problem


def test_every_problem_of_a_scan_is_told_in_words_and_not_by_the_name_of_a_class() -> None:
    for problem in ("Stopped", "NonFiniteScores", "FilmsNotArchived", "NoChampion", "LowDisk", "WrongSiteKey"):
        assert problem not in say_problem(problem)
        assert " " in say_problem(problem)
    assert "ZeroDivisionError" in say_problem("ZeroDivisionError")
