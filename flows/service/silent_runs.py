"""Runs whose process is gone, on whatever host: still running as the server sees it, and without a heartbeat.

An automation of Prefect's fires for runs that have ended, too, where their last event overtakes their first heartbeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from flows.operations.server_api import ServerApi

# Of looks that are 30 s apart: three heartbeats of prefect.toml. Looks are counted, not seconds: a machine that slept
# for hours, or whose clock was set, wakes to runs that could not beat either.
_SILENT_LOOKS = 4
# Hosts' clocks are never asked for more than which beat is the newest.
_ANY_CLOCK = timedelta(days=2)
_CRASHED = {"type": "CRASHED", "name": "Crashed", "message": "no heartbeat for 90 s: its process died"}


@dataclass(frozen=True, slots=True)
class Heard:
    """The newest heartbeat of a run by its own clock, and how many there are."""

    newest: str
    total: int


@dataclass(frozen=True, slots=True)
class Beat:
    """What was heard of a run, and how many looks in a row found no beat since."""

    heard: Heard
    looks: int


def bury_silent_runs(api: ServerApi, before: Mapping[str, Beat], now: datetime) -> dict[str, Beat]:
    """Mark as crashed what is running and has not beaten for four looks, 30 s apart; what was heard of all that run.

    A run that never beat is not waited for. Raises OSError or ValueError where the server does not answer: begin with
    an empty `before` then, for nobody was heard meanwhile.
    """
    wanted = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
    heard = {run["id"]: _hear(api, run["id"], now) for run in api.post("flow_runs/filter", wanted)}
    beats = {run: note_beat(before.get(run), found) for run, found in heard.items() if found is not None}
    for run in find_dead(beats):
        # Without force: the server refuses it of a run that has ended meanwhile.
        api.post(f"flow_runs/{run}/set_state", {"state": _CRASHED, "force": False})
    return beats


def note_beat(before: Beat | None, heard: Heard) -> Beat:
    """What is known of a run after one more look; pure.

    Another beat is the newest, or there are more: one by a clock that was set back is not the newest. Retention makes
    them fewer.
    """
    is_silent = before is not None and before.heard.newest == heard.newest and heard.total <= before.heard.total
    return Beat(heard, before.looks + 1 if before is not None and is_silent else 1)


def find_dead(beats: Mapping[str, Beat]) -> list[str]:
    """The runs that have been silent for too long; pure."""
    return [run for run, beat in beats.items() if beat.looks >= _SILENT_LOOKS]


def _hear(api: ServerApi, run: str, now: datetime) -> Heard | None:
    beats = {
        "event": {"name": ["prefect.flow-run.heartbeat"]},
        "resource": {"id": [f"prefect.flow-run.{run}"]},
        "occurred": {"since": (now - _ANY_CLOCK).isoformat(), "until": (now + _ANY_CLOCK).isoformat()},
        "order": "DESC",
    }
    found = api.post("events/filter", {"filter": beats, "limit": 1})
    return Heard(str(found["events"][0]["id"]), int(found["total"])) if found["events"] else None
