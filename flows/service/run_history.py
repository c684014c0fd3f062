"""The flow runs that a Prefect server has finished or is running, one line each."""

from __future__ import annotations

import sys

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort


def list_runs() -> list[str]:
    """Flow and run name, which ends in what happened; oldest first. Runs that wait for their time are left out."""
    not_waiting = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(not_any_=[StateType.SCHEDULED, StateType.PENDING]))
    )
    with get_client(sync_client=True) as client:
        flows = {flow.id: flow.name for flow in client.read_flows()}
        runs = client.read_flow_runs(flow_run_filter=not_waiting, sort=FlowRunSort.START_TIME_ASC)
        return [f"{flows[run.flow_id]:16} {run.name}{_say_state(run)}" for run in runs]


def _say_state(run: FlowRun) -> str:
    """The state of a run whose name does not end in it: one that still runs, or that nobody could end."""
    state = run.state_name or ""
    return "" if run.name.endswith(state) else f"  {state}"


if __name__ == "__main__":
    sys.stdout.write("\n".join(list_runs()) + "\n")
