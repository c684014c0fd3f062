"""The shortcut audit of a registered model is stored and becomes its verdict."""

from __future__ import annotations

import json

import pytest

from flows.evaluation.audit import audit_model
from flows.registry.verdicts import AUDIT_SET
from flows.settings import Settings
from tests.flows.evidence_home import champion, stored
from xray_core.errors import RefusedInput


def test_an_audit_of_the_champion_is_stored_and_becomes_its_verdict(trained: Settings) -> None:
    model, audit = audit_model(trained, None)

    assert model.audit_verdict is audit.verdict
    assert champion(trained).audit_verdict is audit.verdict
    newest = stored(trained)[-1]
    assert (newest.set_name, newest.model_version) == (AUDIT_SET, model.version)
    assert json.loads(newest.figures)["sentence"] == audit.sentence


def test_a_version_that_is_not_there_cannot_be_audited(trained: Settings) -> None:
    with pytest.raises(RefusedInput, match="there is no such model"):
        audit_model(trained, "0099-nobody")
