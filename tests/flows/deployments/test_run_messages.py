"""What the runs of scoring and export say of a champion that must not be believed, on a real Prefect server."""

from __future__ import annotations

import pytest

from flows.settings import Settings
from tests.flows.evidence_home import call_flows, deliver, enter

pytestmark = pytest.mark.prefect

_CALL = """
import json
from prefect.client.orchestration import get_client
from flows.deployments.export_results import export_results
from flows.deployments.score_incoming import score_incoming
states = [flow(return_state=True) for flow in (score_incoming, export_results)]
with get_client(sync_client=True) as client:
    runs = [str(state.state_details.flow_run_id) for state in states]
    pages = client._client.post("/artifacts/filter", json={"artifacts": {"flow_run_id": {"any_": runs}}}).json()
print(json.dumps({"messages": [state.message for state in states],
                  "pages": {page["key"]: str(page["description"]) + str(page["data"]) for page in pages}}))
"""


def test_scoring_and_export_say_beside_their_figures_how_far_to_believe_them(
    trained: Settings, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(trained, monkeypatch)
    deliver(trained, per_class=2, seed=6)
    told = call_flows(trained, prefect_api, _CALL)
    scored, exported = told["messages"]
    assert scored.startswith("4 scored; ")
    assert exported.startswith("4 rows; ")
    assert "prevalence" in exported
    for said in (scored, exported, told["pages"]["scan-outcomes"], told["pages"]["results-csv"]):
        assert "UNPROVEN" in said
    assert "Research use only" in told["pages"]["scan-outcomes"]
    assert "Research use only" in told["pages"]["results-csv-path"]
