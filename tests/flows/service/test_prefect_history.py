"""What two hundred runs leave in Prefect's database after its retention, and whether any of them was taken for dead."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flows.home.api_login import read_api_login
from flows.operations.history import give_back, measure_history
from flows.operations.server_api import ServerApi
from flows.service.arrival_runs import start_run
from flows.service.child import Address
from flows.settings import Settings
from tests.flows.scoring.test_scan import drop_xrays
from tests.flows.service.test_service import free_port, running, wait_until
from tests.patience import here

pytestmark = [pytest.mark.prefect, pytest.mark.slow, pytest.mark.timeout(7200)]

RUNS = 200
AT_ONCE = 2
MOST_KEPT = 30_000
UNDER_WAY = "NOT auto_scheduled AND state_type IN ('SCHEDULED', 'PENDING', 'RUNNING')"
# The watch for dead runs waits for 90 s.
ALARM_SECONDS = 120
# Every event and token older than a second goes, every five seconds.
RETENTION_OF_A_SECOND = {
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "PT1S",
    "PREFECT_SERVER_API_CSRF_TOKEN_EXPIRATION": "PT1S",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "5",
}


def test_a_run_leaves_little_in_prefects_database_and_none_that_ended_is_taken_for_dead(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.but({"scanners": AT_ONCE})
    address, file = Address("127.0.0.1", free_port()), settings.home / "prefect" / "prefect.db"
    with running(settings, address):
        api, before = ServerApi(address.api, read_api_login(settings)), read_sizes(file)
        for number in range(RUNS):
            drop_xrays(settings.incoming_dir, 1, seed=number)
            wait_until(lambda: count(file, "flow_run", UNDER_WAY) < AT_ONCE, seconds=120)
            wait_until(lambda: asked_for_a_run(api), seconds=60)
        wait_until(lambda: count(file, "flow_run", UNDER_WAY) == 0, seconds=300)
        time.sleep(ALARM_SECONDS)
        ended = count(file, "flow_run", "state_type = 'COMPLETED'")
        # A run that ended well meanwhile keeps the word among its states.
        alarms = count(file, "flow_run", "state_type = 'CRASHED'") + count(file, "flow_run_state", "type = 'CRASHED'")
        events = count(file, "events", "true")

    at_most = measure_history(file)
    for name, value in RETENTION_OF_A_SECOND.items():
        monkeypatch.setenv(name, value)
    with running(settings, address):
        wait_until(lambda: count(file, "events", "true") < events / 20, seconds=300)
        give_back(file)
        kept = measure_history(file)
        after = read_sizes(file)

    grown = {name: size - (0 if "event" in name else before.get(name, 0)) for name, size in after.items()}
    a_run = sum(grown.values()) / ended
    print(
        f"{ended} runs ended, {alarms} taken for dead; {at_most.size / ended / 1000:.0f} kB a run before retention, "
        f"{a_run / 1000:.1f} kB kept; the file shrank from {at_most.size / 1e6:.1f} to {kept.size / 1e6:.1f} MB"
    )
    for name in sorted(grown, key=lambda name: -grown[name])[:20]:
        print(f"{grown[name] / ended / 1000:8.2f} kB a run  {name}")
    assert ended >= RUNS
    assert alarms == 0
    assert a_run <= MOST_KEPT
    assert kept.free < kept.size / 10


def asked_for_a_run(api: ServerApi) -> bool:
    """Asked for one more; a server that is busy with its one writer says so, and is asked again."""
    try:
        start_run(api, "score-incoming")
    except OSError:
        return False
    return True


def count(file: Path, table: str, which: str) -> int:
    return int(ask(file, f"SELECT count(*) FROM {table} WHERE {which}")[0][0])  # noqa: S608  # our own words


def read_sizes(file: Path) -> dict[str, int]:
    """The bytes of every table and index."""
    return dict(ask(file, "SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))


def ask(file: Path, question: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", timeout=here(60), uri=True)) as database:
        return database.execute(question).fetchall()
