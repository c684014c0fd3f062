"""What `xray up` deploys beside what prefect.yaml declares: as many scanners as the settings say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.service.deploy import spread_scanners
from flows.settings import CHECKOUT, Settings
from xray_core.errors import RefusedInput


@pytest.fixture
def declared() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CHECKOUT / "prefect.yaml").read_text())
    return found


def test_one_scanner_is_what_prefect_yaml_declares(declared: dict[str, Any], tmp_path: Path) -> None:
    assert spread_scanners(declared, Settings(home=tmp_path, database_url=None)) == declared


def test_three_scanners_may_run_at_once_each_on_a_schedule_of_its_own(declared: dict[str, Any], tmp_path: Path) -> None:
    spread = spread_scanners(declared, Settings(home=tmp_path, database_url=None, scanners=3))

    scoring = spread["deployments"][0]
    assert scoring["name"] == "score-incoming"
    assert scoring["concurrency_limit"]["limit"] == 3
    assert len({schedule["slug"] for schedule in scoring["schedules"]}) == 3
    assert len({schedule["interval"] for schedule in scoring["schedules"]}) == 1
    assert spread["deployments"][1:] == declared["deployments"][1:]


def test_sqlite_takes_four_scanners_and_postgresql_more(declared: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RefusedInput, match="at most 4 on SQLite"):
        spread_scanners(declared, Settings(home=tmp_path, database_url=None, scanners=5))

    elsewhere = Settings(home=tmp_path, database_url="postgresql+psycopg://x@db/x", scanners=5)
    assert spread_scanners(declared, elsewhere)["deployments"][0]["concurrency_limit"]["limit"] == 5
