"""The retrain flow on a real Prefect server: each step a task of its own name, and what the UI shows of a training."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.settings import Settings
from tests.flows.evidence_home import call_flows, enter, make_labelled
from xray_core.records import RESEARCH_USE
from xray_core.synthetic.xrays import write_sample_set

pytestmark = pytest.mark.prefect

_CALL = """
import json
from prefect.client.orchestration import get_client
from flows.deployments.retrain import retrain
states = [retrain(epochs=1, return_state=True) for _ in range(2)]
with get_client(sync_client=True) as client:
    runs = {"any_": [str(state.state_details.flow_run_id) for state in states]}
    asked = {"sort": "EXPECTED_START_TIME_ASC", "flow_runs": {"id": runs}}
    tasks = client._client.post("/task_runs/filter", json=asked).json()
    names = [client.read_flow_run(state.state_details.flow_run_id).name for state in states]
    pages = client._client.post("/artifacts/filter", json={"artifacts": {"flow_run_id": runs}}).json()
print(json.dumps({"ends": [[state.name, state.message] for state in states],
                  "tasks": [[run["name"], run["id"], run["state_type"],
                             [source["id"] for sources in run["task_inputs"].values() for source in sources]]
                            for run in tasks],
                  "names": names,
                  "pages": {page["key"]: str(page["data"]) for page in pages}}))
"""

_STEPS = ["gather-xrays", "fit-network", "judge-candidate", "save-model", "ask-gate", "write-card", "conclude"]


def test_every_step_of_a_training_is_a_task_that_follows_the_one_before_and_its_plots_are_in_the_ui(
    trained: Settings, tmp_path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(trained, monkeypatch)
    write_sample_set(tmp_path / "more", per_class=4, patients=4, seed=12)
    make_labelled(trained, tmp_path / "more")

    shown = call_flows(trained, prefect_api, _CALL)

    first, second = shown["ends"]
    assert first[0] in {"Promoted", "Rejected", "Insufficient evidence"}
    assert first[1].startswith("0002-seed_cnn: ")
    told = "these labels were trained on before, or are now; new labels make another training"
    assert second == ["Nothing to do", told]
    assert [(name, state) for name, _, state, _ in shown["tasks"]] == [(name, "COMPLETED") for name in _STEPS]
    assert [inputs for *_, inputs in shown["tasks"]] == [[], *([run_id] for _, run_id, *_ in shown["tasks"][:-1])]
    pages = shown["pages"]
    assert pages.keys() == {"training", "report"}
    report = pages["report"]
    assert report.startswith(f"# 0002-seed\\_cnn: {first[1].removeprefix('0002-seed_cnn: ').split('.')[0]}")
    assert "| patients | cannot be told |" in report
    assert "| figure | candidate | champion |" in report
    assert "**What to do next.** The champion stays" in report
    titles = [
        "Candidate and champion",
        "The first X-rays",
        "Learning",
        "ROC",
        "Scores",
        "Calibration",
        "Shortcut audit",
    ]
    assert [report.index(f"### {title}") for title in titles] == sorted(
        report.index(f"### {title}") for title in titles
    )
    assert report.count("](data:image/png;base64,") >= 10
    assert "ttention" not in report  # heat maps of single patients stay in the model's folder
    assert len(report) < 1_400_000
    assert [name.split(" UTC ")[1] for name in shown["names"]] == [first[0], second[0]]
    assert all(RESEARCH_USE in page for key, page in pages.items() if key != "training")
