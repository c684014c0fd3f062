"""What a person has switched off on the Prefect server, and how deploying leaves it off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prefect.client.orchestration import SyncPrefectClient


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """A deployment as the server has it: schedules by slug and triggers by name, each on or off.

    `is_started` says whether any schedule is on, with a slug or without.
    """

    paused: bool = False
    is_started: bool = False
    schedules: Mapping[str, bool] = field(default_factory=dict)
    triggers: Mapping[str, bool] = field(default_factory=dict)


def read_known(client: SyncPrefectClient) -> dict[str, DeploymentState]:
    """Every deployment of the server by its name."""
    return {
        deployment.name: DeploymentState(
            paused=deployment.paused,
            is_started=any(schedule.active for schedule in deployment.schedules),
            schedules={schedule.slug or "": schedule.active for schedule in deployment.schedules},
            triggers={
                trigger.name: trigger.enabled
                for trigger in client.read_resource_related_automations(f"prefect.deployment.{deployment.id}")
            },
        )
        for deployment in client.read_deployments()
    }


def keep_switched_off(declared: dict[str, Any], known: Mapping[str, DeploymentState]) -> dict[str, Any]:
    """prefect.yaml's content with everything off that is off on the server; pure.

    A schedule that the server does not know is on, unless a person has left the deployment without any that is.
    """
    return declared | {
        "deployments": [
            _keep(deployment, known[deployment["name"]]) if deployment["name"] in known else deployment
            for deployment in declared["deployments"]
        ]
    }


def _keep(deployment: dict[str, Any], known: DeploymentState) -> dict[str, Any]:
    kept = dict(deployment)
    if known.paused:
        kept["paused"] = True
    if "schedules" in deployment:
        kept["schedules"] = [
            schedule | {"active": schedule["active"] and known.schedules.get(schedule["slug"], known.is_started)}
            for schedule in deployment["schedules"]
        ]
    if "triggers" in deployment:
        kept["triggers"] = [
            trigger | {"enabled": trigger["enabled"] and known.triggers.get(trigger["name"], True)}
            for trigger in deployment["triggers"]
        ]
    return kept
