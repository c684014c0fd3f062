"""Runs that have stopped beating are buried; those that beat, never did or have ended are not, whatever clocks say."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from flows.operations.server_api import ServerApi
from flows.service.silent_runs import Beat, bury_silent_runs, find_dead, note_beat
from tests.patience import here

NOW = datetime.now(UTC)
HALF_A_MINUTE, SILENCE = timedelta(seconds=30), timedelta(seconds=90)


def test_a_run_is_dead_when_its_newest_beat_has_stayed_the_same_for_three_periods() -> None:
    first = note_beat(None, "one", NOW)
    again = note_beat(first, "one", NOW + HALF_A_MINUTE)
    another = note_beat(first, "two", NOW + HALF_A_MINUTE)

    assert again == Beat("one", NOW)
    assert another == Beat("two", NOW + HALF_A_MINUTE)
    assert find_dead({"silent": again, "beating": another}, NOW + SILENCE) == ["silent"]
    assert find_dead({"silent": again}, NOW + SILENCE - timedelta(seconds=1)) == []


@pytest.mark.prefect
def test_a_silent_run_is_marked_crashed_and_no_run_that_has_ended_or_beats(
    prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.operations.server_api._ASK_SECONDS", here(30))
    api = ServerApi(prefect_api, "nobody:asked")
    flow = api.post("flows/", {"name": f"silence-{uuid4()}"})["id"]
    states = {
        "silent": {"type": "RUNNING"},
        "beating": {"type": "RUNNING"},
        "never beat": {"type": "RUNNING"},
        "ended": {"type": "COMPLETED", "name": "Scored 6"},
    }
    runs = {name: api.post("flow_runs/", {"flow_id": flow, "state": state})["id"] for name, state in states.items()}
    for name in ("silent", "beating", "ended"):
        beat(api, runs[name], NOW - timedelta(hours=1))  # by a clock that is slow

    heard = bury_silent_runs(api, {}, NOW)
    beat(api, runs["beating"], NOW + timedelta(hours=1))  # and by one that is fast
    bury_silent_runs(api, heard, NOW + SILENCE)

    found = {name: str(api.get(f"flow_runs/{run}")["state_name"]) for name, run in runs.items()}
    assert found == {"silent": "Crashed", "beating": "Running", "never beat": "Running", "ended": "Scored 6"}
    assert set(heard) & set(runs.values()) == {runs["silent"], runs["beating"]}


def beat(api: ServerApi, run: str, at: datetime) -> None:
    """The event of a heartbeat, once the server has written it down."""
    resource = {"prefect.resource.id": f"prefect.flow-run.{run}"}
    event = {"id": str(uuid4()), "occurred": at.isoformat(), "event": "prefect.flow-run.heartbeat"}
    api.post("events", [event | {"resource": resource}])
    until = (at + HALF_A_MINUTE).isoformat()
    seen = {"id": {"id": [event["id"]]}, "occurred": {"since": at.isoformat(), "until": until}}
    while not api.post("events/filter", {"filter": seen})["events"]:  # pytest's own limit ends it
        time.sleep(0.2)
