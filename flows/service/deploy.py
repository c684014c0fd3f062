"""Put the work pool, the deployments of prefect.yaml and the zombie watch on a running Prefect server."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from flows.service.dead_runs import bury_dead_runs
from flows.service.service import POOL
from flows.settings import CHECKOUT

# A run starts this Python on a deployment's own code and nothing else: whoever may start runs may not say what runs.
_JOB_TEMPLATE: dict[str, Any] = {
    "job_configuration": {"stream_output": True},
    "variables": {"type": "object", "properties": {}, "additionalProperties": False},
}
_ZOMBIES = "xray: a run whose process died is marked crashed"


def deploy() -> None:
    """Idempotent: every start of the service deploys again, so that a moved checkout or a new version is found."""
    _create_pool()
    prefect = Path(sys.executable).with_name("prefect")
    subprocess.run([str(prefect), "--no-prompt", "deploy", "--all"], cwd=CHECKOUT, check=True)
    _watch_for_zombies()
    bury_dead_runs(datetime.now(UTC))  # of a service that was killed: no worker is up yet


def _create_pool() -> None:
    with get_client(sync_client=True) as client:
        client.create_work_pool(
            WorkPoolCreate(name=POOL, type="process", base_job_template=_JOB_TEMPLATE), overwrite=True
        )


def _watch_for_zombies() -> None:
    """A run without a heartbeat for three periods crashed with its process; it must not hold its slot for ever."""
    automation = AutomationCore(
        name=_ZOMBIES,
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={
                "prefect.flow-run.heartbeat",
                "prefect.flow-run.Completed",
                "prefect.flow-run.Failed",
                "prefect.flow-run.Cancelled",
                "prefect.flow-run.Crashed",
            },
            for_each={"prefect.resource.id"},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=90),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED, name="Crashed", message="no heartbeat for 90 s: its process died", force=False
            )
        ],
    )
    with get_client(sync_client=True) as client:
        for existing in client.read_automations_by_name(_ZOMBIES):
            client.delete_automation(existing.id)
        client.create_automation(automation)


if __name__ == "__main__":
    deploy()
