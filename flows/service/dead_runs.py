"""Flow runs whose process is gone: marked crashed as soon as their worker has died, so that they hold no slot.

`python -m flows.service.dead_runs TIME_OF_DEATH`, as `xray up` runs it whenever it starts the worker again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Crashed

from flows.service.service import WORKER

_PROCESSES = Path("/proc")
_RUN_ID = b"PREFECT__FLOW_RUN_ID="
# A server that died with the worker needs a while to come back.
_WAIT_SECONDS = 120


def bury_dead_runs(died_at: datetime) -> int:
    """Mark as crashed what this machine's worker had in hand at that time and no process works on; how many.

    The watch for silent runs would find them too, two minutes later. Does nothing where the system tells nobody of
    its processes.
    """
    if not _PROCESSES.is_dir():
        return 0
    under_way = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
    wanted = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=under_way)))
    with get_client(sync_client=True) as client:
        _wait_for_server(client)
        dead = find_dead(client.read_flow_runs(flow_run_filter=wanted), _read_processes(), died_at)
        for run in dead:
            client.set_flow_run_state(run.id, Crashed(message="its worker and its process died"))
    return len(dead)


def find_dead(runs: Iterable[FlowRun], processes: Mapping[int, str], died_at: datetime) -> list[FlowRun]:
    """Those of our worker's runs, last heard of before it died, that have no process; pure.

    `processes` says which run a process works for. A run's decoders say so too and may outlive it for a moment:
    where its own process id is known, that one counts.
    """
    return [
        run
        for run in runs
        if run.labels.get("prefect.worker.name") == WORKER
        and run.state is not None
        and run.state.timestamp < died_at
        and not _has_process(run, processes)
    ]


def _has_process(run: FlowRun, processes: Mapping[int, str]) -> bool:
    if run.infrastructure_pid is not None and run.infrastructure_pid.isdecimal():
        return processes.get(int(run.infrastructure_pid)) == str(run.id)
    return str(run.id) in processes.values()


def _read_processes() -> dict[int, str]:
    """Process ids on this machine with the flow run that each works for, by what their environments say."""
    found: dict[int, str] = {}
    for folder in _PROCESSES.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue  # it has ended meanwhile, or is somebody else's
        for entry in environment.split(b"\0"):
            if entry.startswith(_RUN_ID):
                found[int(folder.name)] = entry.removeprefix(_RUN_ID).decode()
    return found


def _wait_for_server(client: SyncPrefectClient) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while client.api_healthcheck() is not None and time.monotonic() < deadline:
        time.sleep(1)


if __name__ == "__main__":
    count = bury_dead_runs(datetime.fromisoformat(sys.argv[1]).astimezone(UTC))
    sys.stdout.write(f"{count} runs had died with their worker\n")
