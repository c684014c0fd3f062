"""The whole service as a user runs it: `xray up`, a file dropped, a schedule that fires, Ctrl-C."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.schedules import IntervalSchedule

from flows.home.api_login import read_api_login
from flows.service.child import Address, child_environment
from flows.settings import CHECKOUT, Settings
from tests.flows.scoring.test_scan import count_results, drop_xrays, read_lines
from tests.patience import here
from xray_core.records import FileState

pytestmark = pytest.mark.prefect


def wait_until(happened: Callable[[], Any], *, seconds: float) -> None:
    deadline = time.monotonic() + here(seconds)
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s of a quiet machine"
        time.sleep(0.5)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(settings: Settings, address: Address) -> Iterator[subprocess.Popen[bytes]]:
    log = settings.home / "up.log"
    command = [sys.executable, "-m", "flows", "up", "--port", str(address.port)]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env=child_environment(settings, address), stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_until(lambda: "worker is up" in log.read_text() or process.poll() is not None, seconds=150)
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(here(60))
        log.unlink()


def talk(settings: Settings, address: Address) -> SyncPrefectClient:
    """A client of the service's API; a process for each question would cost more than what is asked about."""
    return SyncPrefectClient(address.api, auth_string=read_api_login(settings), httpx_settings={"trust_env": False})


def ask(settings: Settings, address: Address, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    with talk(settings, address) as client:
        found: list[dict[str, Any]] = client._client.post(path, json=body).json()
    return found


def reschedule(settings: Settings, address: Address, *, every: int, flow: str = "score-incoming") -> None:
    """One schedule for the deployment of a flow, of so many seconds."""
    schedule = IntervalSchedule(interval=timedelta(seconds=every))
    with talk(settings, address) as client:
        deployment = client.read_deployment_by_name(f"{flow}/{flow}")
        for old in client.read_deployment_schedules(deployment.id):
            client.delete_deployment_schedule(deployment.id, old.id)
        client.create_deployment_schedules(deployment.id, [(schedule, True)])


def completed_runs(settings: Settings, address: Address, flow: str) -> list[dict[str, Any]]:
    body = {"flows": {"name": {"any_": [flow]}}, "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    return ask(settings, address, "/flow_runs/filter", body)


def scheduled_runs(settings: Settings, address: Address) -> list[dict[str, Any]]:
    """Those of score-incoming that the schedule made and that have ended well."""
    return [run for run in completed_runs(settings, address, "score-incoming") if run["auto_scheduled"]]


@pytest.mark.slow
def test_the_loss_of_prefects_database_costs_its_history_alone(settings: Settings) -> None:
    settings = settings.but({"settle_seconds": 1.0})
    address = Address("127.0.0.1", free_port())
    drop_xrays(settings.incoming_dir, 1, seed=1)
    with running(settings, address):
        wait_until(lambda: count_results(settings) == 1, seconds=75)

    shutil.rmtree(settings.home / "prefect")
    with running(settings, address):
        drop_xrays(settings.incoming_dir, 1, seed=3)
        wait_until(lambda: count_results(settings) == 2, seconds=75)

    assert {line.state for line in read_lines(settings).values()} == {FileState.SCORED}


def test_an_address_that_others_could_reach_needs_a_password(settings: Settings) -> None:
    command = [sys.executable, "-m", "flows", "up", "--host", "0.0.0.0"]  # noqa: S104

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "PREFECT_SERVER_API_AUTH_STRING" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_a_sentence_and_not_a_traceback(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "-m", "flows", "up", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "already running" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_service_starts_sends_no_telemetry_and_listens_on_loopback(tmp_path: Path) -> None:
    environment = child_environment(Settings(home=tmp_path), Address("127.0.0.1", 4200))

    assert environment["DO_NOT_TRACK"] == "1"
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert environment["PREFECT_SERVER_API_HOST"] == "127.0.0.1"
    assert environment["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert "PYTHONDONTWRITEBYTECODE" not in environment


@pytest.mark.parametrize("folder", ["checkout", "elsewhere"])
def test_what_the_service_starts_obeys_the_safe_settings_wherever_it_is_installed(tmp_path: Path, folder: str) -> None:
    """As Prefect itself reads them: a setting that was misspelt would stand in prefect.toml for nothing."""
    code = (
        "from prefect.settings import get_current_settings\n"
        "found = get_current_settings()\n"
        "print(found.server.api.csrf_protection_enabled, found.results.default_serializer,\n"
        "      found.server.ui.v2_enabled, found.server.ui.show_promotional_content,\n"
        "      found.server.analytics_enabled, found.server.api.host, found.flows.heartbeat_frequency,\n"
        "      found.server.events.retention_period.days, len(found.server.services.db_vacuum.enabled_vacuum_types),\n"
        "      found.server.services.db_vacuum.event_retention_overrides)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=CHECKOUT if folder == "checkout" else tmp_path,
        env=child_environment(Settings(home=tmp_path), Address("127.0.0.1", 4200)),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["True", "json", "False", "False", "False", "127.0.0.1", "30", "1", "3", "{}"]
