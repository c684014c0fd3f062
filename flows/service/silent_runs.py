"""Runs whose process is gone, on whatever host: still running as the server sees it, and without a heartbeat.

An automation of Prefect's fires for runs that have ended, too, where their last event overtakes their first heartbeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from flows.operations.server_api import ServerApi

# Three heartbeats of prefect.toml.
_SILENCE = timedelta(seconds=90)
# Hosts' clocks are never asked for more than which beat is the newest.
_ANY_CLOCK = timedelta(days=2)
_CRASHED = {"type": "CRASHED", "name": "Crashed", "message": "no heartbeat for 90 s: its process died"}


@dataclass(frozen=True, slots=True)
class Beat:
    """The newest heartbeat of a run, and when it was first seen here."""

    event_id: str
    seen_at: datetime


def bury_silent_runs(api: ServerApi, heard: Mapping[str, Beat], now: datetime) -> dict[str, Beat]:
    """Mark as crashed what is running and has not beaten for 90 s since an earlier look; what was heard of the others.

    A run that never beat is not waited for. Raises OSError or ValueError where the server does not answer: begin with
    an empty `heard` then, for nobody was heard meanwhile.
    """
    wanted = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
    newest = {run["id"]: _find_newest_beat(api, run["id"], now) for run in api.post("flow_runs/filter", wanted)}
    beats = {run: note_beat(heard.get(run), event_id, now) for run, event_id in newest.items() if event_id}
    for run in find_dead(beats, now):
        # Without force: the server refuses it of a run that has ended meanwhile.
        api.post(f"flow_runs/{run}/set_state", {"state": _CRASHED, "force": False})
    return beats


def note_beat(before: Beat | None, event_id: str, now: datetime) -> Beat:
    """What is known of a run's newest heartbeat; pure."""
    return before if before is not None and before.event_id == event_id else Beat(event_id, now)


def find_dead(beats: Mapping[str, Beat], now: datetime) -> list[str]:
    """The runs that have been silent for too long; pure."""
    return [run for run, beat in beats.items() if now - beat.seen_at >= _SILENCE]


def _find_newest_beat(api: ServerApi, run: str, now: datetime) -> str | None:
    beats = {
        "event": {"name": ["prefect.flow-run.heartbeat"]},
        "resource": {"id": [f"prefect.flow-run.{run}"]},
        "occurred": {"since": (now - _ANY_CLOCK).isoformat(), "until": (now + _ANY_CLOCK).isoformat()},
        "order": "DESC",
    }
    found = api.post("events/filter", {"filter": beats, "limit": 1})["events"]
    return str(found[0]["id"]) if found else None
