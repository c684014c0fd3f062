"""Whether a run may be started, by what Prefect's server answers; and how the watcher takes a fault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from flows.operations.server_api import ServerApi
from flows.service.arrival_runs import ARRIVAL_TAG, RunStanding, read_standing, start_run


class Server(ServerApi):
    """Answers as Prefect's server would, and remembers what it was asked to do."""

    def __init__(self, *states: str, paused: bool = False, pool_paused: bool = False) -> None:
        super().__init__("http://127.0.0.1:9/api", "user:password")
        self.states = states
        self.paused = paused
        self.pool_paused = pool_paused
        self.posted: dict[str, Mapping[str, Any]] = {}

    def get(self, path: str) -> Any:
        if path.startswith("work_pools/"):
            return {"is_paused": self.pool_paused}
        if path == "automations/related-to/prefect.deployment.7":
            return [{"enabled": not self.paused}]
        name = path.rpartition("/")[2]
        return {
            "id": "7",
            "name": name,
            "tags": ["xray"],
            "paused": False,
            "schedules": [] if name == "retrain" else [{"active": not self.paused}],
        }

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        self.posted[path] = body
        return [{"state_type": state} for state in self.states]


@pytest.mark.parametrize(
    ("state", "standing"),
    [
        (None, RunStanding.FREE),
        ("COMPLETED", RunStanding.FREE),
        ("SCHEDULED", RunStanding.UNDER_WAY),
        ("PENDING", RunStanding.UNDER_WAY),
        ("RUNNING", RunStanding.UNDER_WAY),
        ("CANCELLING", RunStanding.UNDER_WAY),
        ("FAILED", RunStanding.FAILED),
        ("CRASHED", RunStanding.FAILED),
    ],
)
def test_a_run_that_waits_or_works_is_the_only_one(state: str | None, standing: RunStanding) -> None:
    server = Server(*([state] if state else []))

    assert read_standing(server, "score-incoming", "xray-pool") is standing


def test_where_several_scan_at_once_another_is_started_until_they_are_as_many() -> None:
    one = Server("RUNNING", "FAILED", "COMPLETED")
    two = Server("PENDING", "COMPLETED", "RUNNING")

    assert read_standing(one, "score-incoming", "xray-pool", at_once=2) is RunStanding.FAILED
    assert read_standing(two, "score-incoming", "xray-pool", at_once=2) is RunStanding.UNDER_WAY
    assert read_standing(two, "score-incoming", "xray-pool", at_once=3) is RunStanding.FREE


def test_what_a_person_paused_is_not_started() -> None:
    assert read_standing(Server(paused=True), "score-incoming", "xray-pool") is RunStanding.PAUSED
    assert read_standing(Server(pool_paused=True), "score-incoming", "xray-pool") is RunStanding.PAUSED


def test_a_deployment_that_an_event_starts_is_off_when_its_trigger_is() -> None:
    assert read_standing(Server("RUNNING"), "retrain", "xray-pool") is RunStanding.UNDER_WAY
    assert read_standing(Server("FAILED"), "retrain", "xray-pool") is RunStanding.FAILED
    assert read_standing(Server(paused=True), "retrain", "xray-pool") is RunStanding.PAUSED


def test_a_run_that_was_cancelled_for_another_hides_no_other() -> None:
    server = Server()

    read_standing(server, "score-incoming", "xray-pool")

    assert "CANCELLED" not in server.posted["flow_runs/filter"]["flow_runs"]["state"]["type"]["any_"]


def test_a_start_says_who_asked_for_it_and_nothing_else() -> None:
    server = Server()

    start_run(server, "score-incoming")

    asked = server.posted["deployments/7/create_flow_run"]
    assert asked["tags"] == ["xray", ARRIVAL_TAG]
    assert asked["state"] == {"type": "SCHEDULED"}
    assert "parameters" not in asked
