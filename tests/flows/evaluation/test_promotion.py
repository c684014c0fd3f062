"""The gate, asked by a person."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from flows.evaluation.promotion import promote_through_gate
from flows.registry.models import read_history
from flows.settings import Settings
from tests.flows.evidence_home import Rival, champion, import_again, stored, write_lenient_policy
from xray_core.errors import RefusedInput
from xray_core.records import Verdict
from xray_core.synthetic.xrays import write_sample_set


def test_a_promotion_by_hand_goes_through_the_gate_and_changes_nothing_without_its_verdict(rival: Rival) -> None:
    trained, second = rival.settings, rival.candidate
    before = champion(trained).version

    decision = promote_through_gate(trained, second, "")

    assert decision.verdict is not Verdict.PROMOTE
    assert "test patients" in decision.reason or "audit" in decision.reason
    assert champion(trained).version == before
    assert stored(trained)[-1].model_version == second


def test_the_champion_cannot_be_promoted_again(trained: Settings) -> None:
    with pytest.raises(RefusedInput, match="is champion already"):
        promote_through_gate(trained, champion(trained).version, "")


def test_every_comparison_is_a_look_that_the_ledger_keeps_and_the_first_proven_champion_is_the_benchmark(
    trained: Settings, tmp_path: Path
) -> None:
    lenient = write_lenient_policy(trained, tmp_path / "policy.toml")
    first, second, third = (import_again(trained, name).version for name in ("first", "second", "third"))

    reasons = [promote_through_gate(lenient, version, "").reason for version in (first, second, third)]

    looks = [json.loads(record.figures)["look"] for record in stored(trained) if record.set_name == "test"]
    assert [look and look["number"] for look in looks] == [None, 1, 2, 3]
    assert "beside champion 0001-seed_cnn; 0.0304 of" in reasons[0]
    assert f"look 2 at this side (renewed {looks[1]['renewed_at'][:10]}), judged on" in reasons[1]
    assert f"beside champion {first}; 0.0076 of" in reasons[1]
    assert f"beside champion {second} and benchmark {first}; 0.0034 of" in reasons[2]


def test_a_benchmark_that_is_not_registered_is_refused_with_what_is_expected(trained: Settings, tmp_path: Path) -> None:
    lenient = write_lenient_policy(trained, tmp_path / "policy.toml")
    path = tmp_path / "policy.toml"
    path.write_text(path.read_text().replace('"first proven champion"', '"0099-lost"'))
    twin = import_again(trained, "twin").version

    with pytest.raises(RefusedInput, match=r"test\.benchmark: received '0099-lost', which is not registered; expected"):
        promote_through_gate(lenient, twin, "")


def test_the_gate_promotes_by_hand_what_is_not_worse_and_the_history_says_who(
    trained: Settings, tmp_path: Path
) -> None:
    twin = import_again(trained, "twin").version
    lenient = write_lenient_policy(trained, tmp_path / "policy.toml")

    decision = promote_through_gate(lenient, twin, "asked for")

    assert decision.verdict is Verdict.PROMOTE, decision.reason
    assert (champion(trained).version, champion(trained).proven) == (twin, True)
    term = read_history(trained)[-1]
    assert (term.actor, term.evaluation_id) == ("operator (through the gate)", stored(trained)[-1].evaluation_id)
    assert "asked for" in term.reason


def test_a_place_that_the_policy_names_is_judged_on_stored_and_stands_in_the_way(
    trained: Settings, tmp_path: Path
) -> None:
    write_sample_set(tmp_path / "siteB", per_class=12, patients=12, seed=80)
    (tmp_path / "siteB" / "patients.csv").unlink()
    films = sorted(path.name for path in (tmp_path / "siteB").rglob("*.*"))
    whose = tmp_path / "siteB.csv"
    whose.write_text("filename,patient_id\n" + "".join(f"{name},siteB-{n}\n" for n, name in enumerate(films)))
    lenient = write_lenient_policy(trained, tmp_path / "policy.toml")
    path = tmp_path / "policy.toml"
    site_b = f'{{folder = "{tmp_path / "siteB"}", patients = "{whose}"}}'
    named = f'[external_sets]\nsiteB = {site_b}\nsiteC = "{tmp_path / "gone"}"\nsiteD = "{tmp_path / "siteB"}"\n'
    path.write_text(re.sub(r"(?m)^\[external_sets\].*\n(#.*\n)*", named, path.read_text()))
    twin = import_again(trained, "twin").version

    decision = promote_through_gate(lenient, twin, "")

    checks = {check.name: check.passed for check in decision.checks}
    assert decision.verdict is Verdict.INSUFFICIENT_EVIDENCE
    assert (checks["external siteB"], checks["external siteC"]) == (True, None)
    assert checks["external siteD"] is None  # the same films, of unknown patients: each would count as a patient
    assert checks["external siteB, not worse"] is True
    assert str(tmp_path) not in decision.reason
    (kept,) = (record for record in stored(trained) if record.set_name == "external: siteB")
    assert kept.model_version == twin
    assert len(json.loads(kept.figures)["xrays"]) == 24
