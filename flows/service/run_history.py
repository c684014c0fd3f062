"""The flow runs that a Prefect server has finished or is running, one line each."""

from __future__ import annotations

import sys

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort


def list_runs() -> list[str]:
    """`flow, run name, state, message`, oldest first; runs that wait for their time are left out."""
    not_waiting = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(not_any_=[StateType.SCHEDULED, StateType.PENDING]))
    )
    with get_client(sync_client=True) as client:
        flows = {flow.id: flow.name for flow in client.read_flows()}
        runs = client.read_flow_runs(flow_run_filter=not_waiting, sort=FlowRunSort.START_TIME_ASC)
        return [f"{flows[run.flow_id]:16} {run.name:24} {run.state_name:10} {_message(run.state)}" for run in runs]


def _message(state: object) -> str:
    return getattr(state, "message", None) or ""


if __name__ == "__main__":
    sys.stdout.write("\n".join(list_runs()) + "\n")
