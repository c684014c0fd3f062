"""Runs that arrivals ask for: started where none is under way and nobody has paused them; empty ones are forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from flows.operations.schedule import find_paused
from flows.operations.server_api import ServerApi
from flows.scoring.counts import NOTHING_NEW

# Runs that were started by an arrival carry this tag; those of the schedule do not.
ARRIVAL_TAG = "arrival"
# A scheduled run that begins so soon does it as well.
_SOON = timedelta(seconds=5)
_KEEP_EMPTY = timedelta(hours=1)
_NEWEST = 10  # of so many and those that may be under way; runs of one deployment end nearly in their order
_MOST_DELETED_AT_ONCE = 50  # Prefect's own limit

_UNDER_WAY = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")
_FAILED = ("FAILED", "CRASHED")


class RunStanding(StrEnum):
    """What may be done with a deployment now, by how its newest run stands."""

    PAUSED = "paused"
    UNDER_WAY = "under way"
    FAILED = "failed"
    FREE = "free"


def read_standing(api: ServerApi, deployment: str, pool: str, *, at_once: int = 1) -> RunStanding:
    """Ask the server; `at_once` runs may be under way. Raises OSError or ValueError where it does not answer."""
    found = api.get(f"deployments/name/{deployment}/{deployment}")
    by_events = not found["schedules"]
    triggers = api.get(f"automations/related-to/prefect.deployment.{found['id']}") if by_events else ()
    if find_paused(api.get(f"work_pools/{pool}"), [found], {deployment: triggers}):
        return RunStanding.PAUSED
    wanted = {
        "deployments": {"name": {"any_": [deployment]}},
        "flow_runs": {
            "state": {"type": {"any_": [*_UNDER_WAY, *_FAILED, "COMPLETED"]}},
            "expected_start_time": {"before_": (datetime.now(UTC) + _SOON).isoformat()},
        },
        "sort": "EXPECTED_START_TIME_DESC",
        "limit": _NEWEST + at_once,
    }
    newest = [run["state_type"] for run in api.post("flow_runs/filter", wanted)]
    if sum(state in _UNDER_WAY for state in newest) >= at_once:
        return RunStanding.UNDER_WAY
    ended = [state for state in newest if state not in _UNDER_WAY]
    return RunStanding.FAILED if ended and ended[0] in _FAILED else RunStanding.FREE


def start_run(api: ServerApi, deployment: str, *, origin: str = ARRIVAL_TAG) -> None:
    """Ask for one run now, with its origin as a tag. Raises OSError or ValueError where the server does not take it."""
    found = api.get(f"deployments/name/{deployment}/{deployment}")
    wanted = {
        "name": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC {origin}",
        "tags": [*found["tags"], origin],
        "state": {"type": "SCHEDULED"},
    }
    api.post(f"deployments/{found['id']}/create_flow_run", wanted)


def forget_empty_runs(api: ServerApi, now: datetime) -> int:
    """Delete runs that found nothing and ended over an hour before `now`, at most 50 at once; how many."""
    wanted = {
        "state": {"type": {"any_": ["COMPLETED"]}, "name": {"any_": [NOTHING_NEW]}},
        "end_time": {"before_": (now - _KEEP_EMPTY).isoformat()},
    }
    found = api.post("flow_runs/bulk_delete", {"flow_runs": wanted, "limit": _MOST_DELETED_AT_ONCE})
    return len(found["deleted"])
