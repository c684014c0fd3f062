"""prefect.yaml and the code say the same."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow

from flows.deployments.import_labels import ENOUGH_LABELS
from flows.operations.status import SCAN_INTERVAL
from flows.service.service import POOL
from flows.settings import CHECKOUT

DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((CHECKOUT / "prefect.yaml").read_text())["deployments"]
BY_NAME = {deployment["name"]: deployment for deployment in DEPLOYMENTS}


def load(deployment: dict[str, Any]) -> Flow[..., Any]:
    path, _, function = deployment["entrypoint"].partition(":")
    module = importlib.import_module(".".join(Path(path).with_suffix("").parts))
    found = getattr(module, function)
    assert isinstance(found, Flow)
    return found


def test_the_five_deployments_are_declared() -> None:
    assert set(BY_NAME) == {"score-incoming", "import-labels", "retrain", "check-drift", "export-results"}


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_an_entrypoint_is_a_flow_of_the_deployments_own_name(name: str) -> None:
    assert load(BY_NAME[name]).name == name


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_deployment_runs_one_at_a_time_in_the_pool_that_the_service_creates(name: str) -> None:
    assert BY_NAME[name]["work_pool"]["name"] == POOL
    assert BY_NAME[name]["concurrency_limit"]["limit"] == 1


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_parameter_has_a_help_text_in_the_ui(name: str) -> None:
    flow = load(BY_NAME[name])

    properties = flow.parameters.properties

    assert set(properties) == set(inspect.signature(flow.fn).parameters)
    assert all(schema.get("description") for schema in properties.values())


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_declared_parameters_are_ones_that_the_flow_takes(name: str) -> None:
    given = BY_NAME[name].get("parameters", {})
    for trigger in BY_NAME[name].get("triggers", []):
        given = given | trigger.get("parameters", {})

    assert set(given) <= set(inspect.signature(load(BY_NAME[name]).fn).parameters)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_run_with_nothing_given_passes_prefects_own_check_of_its_parameters(name: str) -> None:
    flow = load(BY_NAME[name])
    defaults = {key: given.default for key, given in inspect.signature(flow.fn).parameters.items()}

    assert flow.validate_parameters(defaults) == defaults


def test_scoring_and_label_import_are_scheduled_every_ten_minutes_and_exports_daily() -> None:
    assert [schedule["interval"] for schedule in BY_NAME["score-incoming"]["schedules"]] == [600]
    assert [schedule["interval"] for schedule in BY_NAME["import-labels"]["schedules"]] == [600]
    assert SCAN_INTERVAL.total_seconds() == 600
    assert [schedule["cron"] for schedule in BY_NAME["export-results"]["schedules"]] == ["0 5 * * *"]
    assert [schedule["cron"] for schedule in BY_NAME["check-drift"]["schedules"]] == ["30 4 * * *"]
    assert BY_NAME["score-incoming"]["concurrency_limit"]["collision_strategy"] == "CANCEL_NEW"


def test_the_retraining_listens_to_the_event_that_the_label_import_emits() -> None:
    (trigger,) = BY_NAME["retrain"]["triggers"]

    assert trigger["expect"] == [ENOUGH_LABELS]
