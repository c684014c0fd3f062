"""`xray models list|show|import|promote|history|rollback` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.registry.standing import NO_REFERENCE
from tests.flows.cli.test_cli import xray
from tests.flows.evidence_home import Rival, champion, deliver, enter, scan
from tests.networks import lung_contrast_network


@pytest.fixture
def pair(rival: Rival, monkeypatch: pytest.MonkeyPatch) -> Rival:
    enter(rival.settings, monkeypatch)
    return rival


def test_the_gate_prints_what_it_asked_and_a_refusal_is_exit_code_1(pair: Rival) -> None:
    before = champion(pair.settings).version

    done = xray("models", "promote", pair.candidate)

    assert done.returncode == 1, done.stderr
    *checks, verdict = done.stdout.splitlines()
    assert all(check.strip().startswith(("passed", "FAILED", "cannot be told")) for check in checks)
    assert any("test patients; 30 of each are needed to judge" in check for check in checks)
    assert any("loads in a fresh process" in check for check in checks)
    assert verdict.startswith((f"{pair.candidate}: reject. ", f"{pair.candidate}: insufficient evidence. "))
    assert champion(pair.settings).version == before


@pytest.mark.parametrize("reason", [(), ("--reason", "  ")])
def test_an_override_without_a_reason_is_exit_code_2_and_promotes_nobody(pair: Rival, reason: tuple[str, ...]) -> None:
    before = champion(pair.settings).version

    done = xray("models", "promote", pair.candidate, "--override", *reason)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip() == "xray: --reason: received nothing; expected why this model should be champion"
    assert champion(pair.settings).version == before


def test_an_override_scores_is_in_the_history_for_good_and_can_be_rolled_back(pair: Rival) -> None:
    first, second = champion(pair.settings).version, pair.candidate

    promoted = xray("models", "promote", second, "--override", "--reason", "agreed by the readers")
    deliver(pair.settings, per_class=2)
    scan(pair.settings)
    back = xray("models", "rollback", "--reason", "it calls everything positive")
    told, terms = xray("models", "history"), json.loads(xray("models", "history", "--json").stdout)["terms"]

    assert (promoted.returncode, promoted.stdout) == (0, f"{second} is champion; the next scan scores with it\n")
    assert (back.returncode, back.stdout) == (0, f"{first} is champion again; the next scan scores with it\n")
    assert [term["version"] for term in terms] == [first, second, first]
    assert [term["actor"] for term in terms] == ["gate (by hand)", "operator (override)", "operator (rollback)"]
    assert [term["xrays_scored"] for term in terms] == [0, 4, 0]
    assert terms[1]["until"] == terms[2]["since"]
    assert terms[2]["until"] is None
    assert terms[0]["evaluation_id"] is not None
    assert "override: agreed by the readers" in told.stdout
    words = [" ".join(line.split()) for line in told.stdout.splitlines()]
    assert words[0] == "version from (UTC) to for X-rays by on"
    assert any(line.endswith("now 0 minutes 0 operator (rollback) no evaluation") for line in words)
    assert any(line.endswith(f"gate (by hand) evaluation {terms[0]['evaluation_id']}") for line in words)
    assert told.returncode == 0
    assert xray("verify").returncode == 0


def test_a_rollback_to_a_damaged_model_stops_for_a_person_and_changes_nothing(pair: Rival) -> None:
    first = champion(pair.settings).version
    xray("models", "promote", pair.candidate, "--override", "--reason", "agreed by the readers")
    file = pair.settings.models_dir / first / "model.onnx"
    file.chmod(0o600)
    file.write_bytes(file.read_bytes() + b"x")

    done = xray("models", "rollback")

    assert (done.returncode, done.stdout) == (1, "")
    assert "model.onnx has sha256" in done.stderr
    assert champion(pair.settings).version == pair.candidate


def test_list_and_show_say_stage_proof_audit_and_recalibration(pair: Rival) -> None:
    listed, shown = xray("models", "list"), xray("models", "show", champion(pair.settings).version)

    _, _, first, second = listed.stdout.splitlines()
    assert first.split()[:3] == [champion(pair.settings).version, "champion", "unproven"]
    assert second.split()[:5] == [pair.candidate, "candidate", "unproven", "not", "known"]
    assert "recalibration_slope" in shown.stdout


@pytest.mark.slow
def test_an_import_says_what_it_can_refer(pair: Rival, trained_once: Path) -> None:
    lung_contrast_network(turned=True).save("ours.keras")
    data = trained_once / "dataset"

    unsaid = xray("models", "import", "ours.keras", "--positive-output", "covid")
    bare = xray("models", "import", "ours.keras", "--positive-output", "covid", "--scaling", "unit")
    taught = xray(
        *("models", "import", "ours.keras", "--positive-output", "covid", "--scaling", "unit"),
        *("--reference", str(data), "--patients", str(data / "patients.csv")),
    )
    refused = xray(
        "models", "import", "ours.keras", "--positive-output", "covid", "--scaling", "unit", "--reference", "nowhere"
    )

    assert unsaid.returncode != 0
    assert "say it: --scaling none for grey levels 0..255; --scaling unit for 0..1" in unsaid.stderr
    assert bare.returncode == 0, bare.stderr
    assert "synthetic probe films" in bare.stdout
    assert NO_REFERENCE in bare.stdout
    assert "--reference DATASET_DIR" in bare.stdout
    assert "learned from 120 X-rays of 120 patients" in taught.stdout
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "nowhere: not a folder" in refused.stderr
