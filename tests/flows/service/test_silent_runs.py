"""Runs that have stopped beating are buried; those that beat, never did or have ended are not, whatever clocks say."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from flows.operations.server_api import ServerApi
from flows.service.silent_runs import Beat, Heard, bury_silent_runs, find_dead, note_beat
from tests.patience import here

NOW = datetime.now(UTC)
HALF_A_MINUTE = timedelta(seconds=30)


def look(times: int, newest: str = "one", total: int = 5) -> Beat:
    """A run of which so many looks in a row found the same."""
    beat = note_beat(None, Heard(newest, total))
    for _ in range(times - 1):
        beat = note_beat(beat, Heard(newest, total))
    return beat


def test_a_run_is_dead_when_four_looks_in_a_row_found_no_new_beat() -> None:
    assert find_dead({"silent": look(4), "not yet": look(3)}) == ["silent"]


def test_a_machine_that_slept_for_a_night_wakes_to_living_runs() -> None:
    before = look(2)

    assert find_dead({"living": note_beat(before, Heard("one", 5))}) == []  # the first look of the morning


@pytest.mark.parametrize(
    ("heard", "why"),
    [
        (Heard("two", 6), "a newer beat"),
        (Heard("one", 6), "a beat by a clock that was set back: the newest is still the one of before"),
        (Heard("two", 5), "a newer beat while retention took the oldest"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_run_that_beats_once_more_is_alive_whatever_its_clock_says(heard: Heard, why: str) -> None:
    assert note_beat(look(3), heard).looks == 1, why


def test_retention_makes_no_dead_run_beat() -> None:
    assert note_beat(look(3), Heard("one", 4)).looks == 4


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
        "set back": {"type": "RUNNING"},
        "never beat": {"type": "RUNNING"},
        "ended": {"type": "COMPLETED", "name": "Scored 6"},
    }
    runs = {name: api.post("flow_runs/", {"flow_id": flow, "state": state})["id"] for name, state in states.items()}
    for name in ("silent", "beating", "set back", "ended"):
        beat(api, runs[name], NOW - timedelta(hours=1))  # by a clock that is slow

    heard = bury_silent_runs(api, {}, NOW)
    beat(api, runs["set back"], NOW - timedelta(hours=2))
    beat(api, runs["beating"], NOW + timedelta(hours=1))  # and by one that is fast
    for _ in range(3):
        heard = bury_silent_runs(api, heard, NOW)

    found = {name: str(api.get(f"flow_runs/{run}")["state_name"]) for name, run in runs.items()}
    alive = dict.fromkeys(("beating", "set back", "never beat"), "Running")
    assert found == alive | {"silent": "Crashed", "ended": "Scored 6"}
    assert set(heard) & set(runs.values()) == {runs["silent"], runs["beating"], runs["set back"]}


def beat(api: ServerApi, run: str, at: datetime) -> None:
    """The event of a heartbeat, once the server has written it down."""
    resource = {"prefect.resource.id": f"prefect.flow-run.{run}"}
    event = {"id": str(uuid4()), "occurred": at.isoformat(), "event": "prefect.flow-run.heartbeat"}
    api.post("events", [event | {"resource": resource}])
    until = (at + HALF_A_MINUTE).isoformat()
    seen = {"id": {"id": [event["id"]]}, "occurred": {"since": at.isoformat(), "until": until}}
    while not api.post("events/filter", {"filter": seen})["events"]:  # pytest's own limit ends it
        time.sleep(0.2)
