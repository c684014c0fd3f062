"""Deploying never switches on what somebody has switched off, and nothing to this machine goes through a proxy."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from flows.operations.schedule import find_paused
from flows.operations.status import read_status
from flows.service.child import Address, child_environment, without_proxy_for
from flows.service.switched_off import DeploymentState, keep_switched_off
from flows.settings import CHECKOUT, Settings
from tests.flows.scoring.test_scan import count_results, drop_xrays
from tests.flows.service.test_service import free_port, running, wait_until

DECLARED: dict[str, Any] = yaml.safe_load((CHECKOUT / "prefect.yaml").read_text())
SCORING, RETRAIN = "score-incoming", "retrain"
TRIGGER = "retrain-when-enough-labels-gathered"


def kept(name: str, known: DeploymentState) -> dict[str, Any]:
    deployments = keep_switched_off(DECLARED, {name: known})["deployments"]
    return next(deployment for deployment in deployments if deployment["name"] == name)


def test_what_no_server_knows_yet_is_deployed_as_it_is_declared() -> None:
    assert keep_switched_off(DECLARED, {}) == DECLARED


def test_what_is_on_stays_as_it_is_declared() -> None:
    known = DeploymentState(is_started=True, schedules={"every-ten-minutes": True})

    assert kept(SCORING, known) == next(d for d in DECLARED["deployments"] if d["name"] == SCORING)


@pytest.mark.parametrize(
    "known",
    [
        DeploymentState(schedules={"every-ten-minutes": False}),
        DeploymentState(schedules={}),  # its only schedule was deleted
        DeploymentState(schedules={"": False}),  # replaced by one of the person's own, which is off
        DeploymentState(is_started=True, schedules={"every-ten-minutes": False, "nightly": True}),
    ],
)
def test_a_schedule_that_a_person_switched_off_or_deleted_stays_off(known: DeploymentState) -> None:
    assert [schedule["active"] for schedule in kept(SCORING, known)["schedules"]] == [False]


def test_a_schedule_that_a_new_version_brings_is_on_where_the_others_are() -> None:
    known = DeploymentState(is_started=True, schedules={"of-an-older-version": True})

    assert [schedule["active"] for schedule in kept(SCORING, known)["schedules"]] == [True]


def test_a_paused_deployment_and_a_trigger_that_is_off_stay_so() -> None:
    assert kept(SCORING, DeploymentState(paused=True, is_started=True))["paused"] is True
    assert [t["enabled"] for t in kept(RETRAIN, DeploymentState(triggers={TRIGGER: False}))["triggers"]] == [False]
    assert [t["enabled"] for t in kept(RETRAIN, DeploymentState(triggers={TRIGGER: True}))["triggers"]] == [True]


def test_paused_is_what_nothing_starts_by_itself() -> None:
    on = {"name": "a", "paused": False, "schedules": [{"active": False}, {"active": True}]}
    off = {"name": "b", "paused": False, "schedules": [{"active": False}]}
    stopped = {"name": "c", "paused": True, "schedules": [{"active": True}]}
    listening = {"name": "d", "paused": False, "schedules": []}
    everything = [on, off, stopped, listening]

    assert find_paused({"is_paused": False}, everything, {"d": [{"enabled": True}]}) == ("b", "c")
    assert find_paused({"is_paused": False}, everything, {"d": [{"enabled": False}]}) == ("b", "c", "d")
    assert find_paused({"is_paused": True}, everything, {}) == ("a", "b", "c", "d")


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_stays_for_the_world_and_never_for_this_machine(name: str) -> None:
    environment = without_proxy_for("127.0.0.1", {name: "http://proxy.example:3128", "NO_PROXY": "intranet.example"})

    assert environment[name] == "http://proxy.example:3128"
    assert environment["NO_PROXY"] == environment["no_proxy"] == "intranet.example,127.0.0.1,localhost,::1"
    assert "ALL_PROXY" not in without_proxy_for("127.0.0.1", {"ALL_PROXY": "socks5://proxy.example:1080"})


@contextmanager
def recording_proxy() -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that answers nobody; its address and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(2)
                    asked.append(connection.recv(200))

        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        server.shutdown(socket.SHUT_RDWR)


_SWITCH_OFF = f"""
import asyncio
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolUpdate
with get_client(sync_client=True) as client:
    found = {{deployment.name: deployment for deployment in client.read_deployments()}}
    schedule = found["{SCORING}"].schedules[0]
    client.update_deployment_schedule(found["{SCORING}"].id, schedule.id, active=False)
    client.pause_deployment(found["check-drift"].id)
    (trigger,) = client.read_automations_by_name("{TRIGGER}")
async def pause():
    async with get_client() as client:
        await client.pause_automation(trigger.id)
asyncio.run(pause())
"""


@pytest.mark.slow
@pytest.mark.prefect
@pytest.mark.timeout(600)
def test_behind_a_proxy_the_service_works_and_a_persons_pauses_survive_its_restart(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = Address("127.0.0.1", free_port())
    drop_xrays(settings.incoming_dir, 1, seed=1)
    with recording_proxy() as (proxy, asked):
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with running(settings, address):
            wait_until(lambda: count_results(settings) == 1, seconds=150)
            assert read_status(settings).paused == ()
            environment = child_environment(settings, address)
            subprocess.run([sys.executable, "-c", _SWITCH_OFF], cwd=CHECKOUT, env=environment, check=True)
            assert set(read_status(settings).paused) == {SCORING, "check-drift", RETRAIN}
        with running(settings, address):
            assert set(read_status(settings).paused) == {SCORING, "check-drift", RETRAIN}
        after = subprocess.run(
            [sys.executable, "-m", "flows", "status"], capture_output=True, text=True, check=False
        ).stdout

    assert "paused by a person" in after
    assert SCORING in after
    assert asked == []
