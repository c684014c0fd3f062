"""The drift flow, run on a real Prefect server: its state, its words, its table."""

from __future__ import annotations

import pytest
from PIL import Image

from flows.settings import Settings
from flows.training.due import read_due
from tests.flows.evidence_home import call_flows, deliver, enter, scan, stored

pytestmark = pytest.mark.prefect

_CALL = """
import json
from prefect.client.orchestration import get_client
from flows.deployments.check_drift import check_drift
state = check_drift(return_state=True)
with get_client(sync_client=True) as client:
    asked = {"artifacts": {"flow_run_id": {"any_": [str(state.state_details.flow_run_id)]}}}
    pages = client._client.post("/artifacts/filter", json=asked).json()
print(json.dumps({"name": state.name, "type": state.type.value, "message": state.message,
                  "pages": [page["data"] for page in pages if page["key"] == "drift"]}))
"""


def test_darker_films_end_the_run_as_drifted_with_a_table_a_caution_and_a_lower_bar(
    trained: Settings, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(trained, monkeypatch)
    deliver(trained, per_class=25, seed=6)
    for path in sorted(trained.incoming_dir.iterdir()):
        with Image.open(path) as picture:
            darker = picture.convert("L").point(lambda level: level * 0.5)
        path.unlink()
        darker.save(path.with_suffix(".png"))
    scan(trained)

    run = call_flows(trained, prefect_api, _CALL)

    assert (run["name"], run["type"]) == ("Drifted", "COMPLETED")
    assert "mean grey level" in run["message"]
    assert "UNPROVEN" in run["message"]
    (page,) = run["pages"]
    assert "| mean grey level | " in page
    assert "| MOVED |" in page
    assert "Research use only" in page
    assert not any(path.name in page + run["message"] for path in trained.incoming_dir.iterdir())
    assert stored(trained)[-1].set_name == "drift"
    assert "have moved" in read_due(trained).reason


def test_films_like_the_training_end_the_run_as_completed(
    trained: Settings, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(trained, monkeypatch)
    deliver(trained, per_class=40, seed=6)
    scan(trained)

    run = call_flows(trained, prefect_api, _CALL)

    assert (run["name"], run["type"]) == ("Not moved", "COMPLETED")
    assert run["message"].startswith("Nothing has moved")


def test_a_new_home_without_a_champion_has_nothing_to_do(empty_settings: Settings, prefect_api: str) -> None:
    run = call_flows(empty_settings, prefect_api, _CALL)

    assert (run["name"], run["type"], run["pages"]) == ("Nothing to do", "COMPLETED", [])
    assert "there is no champion" in run["message"]
