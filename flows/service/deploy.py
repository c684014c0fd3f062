"""Put the work pool and the deployments of prefect.yaml on a running Prefect server."""

from __future__ import annotations

import os
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound

from flows.operations.schedule import Schedule, ask_paused, write_schedule
from flows.service.dead_runs import bury_dead_runs
from flows.service.service import POOL
from flows.service.switched_off import keep_switched_off, read_known
from flows.settings import CHECKOUT, Settings, find_shipped, read_settings
from xray_core.errors import RefusedInput
from xray_core.exchange.atomic_file import write_whole

# A run starts this Python on a deployment's own code and nothing else: whoever may start runs may not say what runs.
_JOB_TEMPLATE: dict[str, Any] = {
    "job_configuration": {"stream_output": True},
    "variables": {"type": "object", "properties": {}, "additionalProperties": False},
}
# Four scanners of one SQLite ledger were seen to wait for each other for ten of the thirty seconds that they may.
_MOST_ON_SQLITE = 4
_OLD_WATCH = "xray: a run whose process died is marked crashed"


def deploy(settings: Settings) -> None:
    """Idempotent: every start of the service deploys again, so that a moved checkout or a new version is found.

    What a person has switched off stays off.
    """
    declared = spread_scanners(yaml.safe_load(find_shipped("prefect.yaml").read_text()), settings)
    with get_client(sync_client=True) as client:
        _create_pool(client)
        _remove_old_watch(client)
        kept = keep_switched_off(declared, read_known(client))
    file = settings.home / "run" / "prefect.yaml"
    write_whole(file, yaml.safe_dump(kept, sort_keys=False).encode())
    prefect = Path(sys.executable).with_name("prefect")
    subprocess.run(
        [str(prefect), "--no-prompt", "deploy", "--all", "--prefect-file", str(file)], cwd=CHECKOUT, check=True
    )
    _note_schedule(settings, [deployment["name"] for deployment in declared["deployments"]])
    bury_dead_runs(datetime.now(UTC))  # of a service that was killed: no worker is up yet


def spread_scanners(declared: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """The deployments with as many scanning runs at once, each on a schedule of its own, as XRAY_SCANNERS says; pure.

    Raises RefusedInput for more than four on SQLite, whose writers would wait for one another longer than they score.
    """
    if settings.url.startswith("sqlite") and settings.scanners > _MOST_ON_SQLITE:
        raise RefusedInput(
            f"XRAY_SCANNERS: received {settings.scanners}; expected at most {_MOST_ON_SQLITE} on SQLite, whose one "
            "writer is the limit: more need PostgreSQL (docs/scale.md)"
        )
    spread = deepcopy(declared)
    for deployment in spread["deployments"]:
        if deployment["name"] == "score-incoming":
            deployment["concurrency_limit"]["limit"] = settings.scanners
            deployment["schedules"] = [
                {**schedule, "slug": f"{schedule['slug']}-{number}" if number > 1 else schedule["slug"]}
                for number in range(1, settings.scanners + 1)
                for schedule in deployment["schedules"]
            ]
    return spread


def _create_pool(client: SyncPrefectClient) -> None:
    """One that exists keeps its pause and its limit."""
    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=_JOB_TEMPLATE))
    else:
        client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=_JOB_TEMPLATE))


def _note_schedule(settings: Settings, names: list[str]) -> None:
    """For `xray status`: which server to ask, and what was paused when it was asked last."""
    schedule = Schedule(os.environ["PREFECT_API_URL"], POOL, tuple(names))
    write_schedule(settings, replace(schedule, paused=ask_paused(settings, schedule) or ()))


def _remove_old_watch(client: SyncPrefectClient) -> None:
    """The automation that looked for dead runs before the watcher did, and took most that had ended for dead."""
    for existing in client.read_automations_by_name(_OLD_WATCH):
        client.delete_automation(existing.id)


if __name__ == "__main__":
    deploy(read_settings())
