"""The gate, asked by a person."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flows.evaluation.promotion import promote_through_gate
from flows.registry.foreign_import import import_model
from flows.registry.models import read_history
from flows.settings import Settings
from tests.flows.evidence_home import Rival, champion, stored, write_lenient_policy
from xray_core.errors import RefusedInput
from xray_core.imaging.records import Scaling
from xray_core.records import Label, Verdict


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


def test_the_gate_promotes_by_hand_what_is_not_worse_and_the_history_says_who(
    trained: Settings, tmp_path: Path
) -> None:
    before = champion(trained).version
    shutil.copy(trained.models_dir / before / "model.keras", tmp_path / "twin.keras")
    twin = import_model(
        trained,
        tmp_path / "twin.keras",
        positive_output=Label.COVID,
        scaling=Scaling.UNIT,
        input_size=None,
        name="twin",
    ).version
    lenient = write_lenient_policy(trained, tmp_path / "policy.toml")

    decision = promote_through_gate(lenient, twin, "asked for")

    assert decision.verdict is Verdict.PROMOTE, decision.reason
    assert (champion(trained).version, champion(trained).proven) == (twin, True)
    term = read_history(trained)[-1]
    assert (term.actor, term.evaluation_id) == ("operator (through the gate)", stored(trained)[-1].evaluation_id)
    assert "asked for" in term.reason
