"""The shortcut audit of a registered model is stored and becomes its verdict."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from db.engine import open_engine, transaction
from db.records import ModelRecord
from flows.evaluation.audit import audit_model
from flows.home.ledger import find_anchor
from flows.registry.models import describe_model
from flows.registry.standing import publish_addendum
from flows.registry.verdicts import AUDIT_SET, record_audit
from flows.settings import Settings
from tests.flows.evidence_home import champion, stored
from xray_core.errors import RefusedInput
from xray_core.evaluation.shortcut_audit import ShortcutAudit


def test_an_audit_of_the_champion_is_stored_and_becomes_its_verdict(trained: Settings) -> None:
    model, audit = audit_model(trained, None)

    assert model.audit_verdict is audit.verdict
    assert champion(trained).audit_verdict is audit.verdict
    newest = stored(trained)[-1]
    assert (newest.set_name, newest.model_version) == (AUDIT_SET, model.version)
    assert json.loads(newest.figures)["sentence"] == audit.sentence
    addendum = (trained.models_dir / f"{model.version}.addendum.md").read_text()
    assert f"Its newest shortcut audit, which counts instead of the card's: {audit.word}." in addendum
    assert "Figures elsewhere" not in addendum


def test_an_audit_of_too_few_patients_leaves_what_an_earlier_one_found(trained: Settings) -> None:
    model, _ = audit_model(trained, None)
    assert model.audit_verdict is not None

    after = store_too_few(trained, model)

    assert after.audit_verdict is model.audit_verdict
    assert "shortcut audit: cannot be told" in describe_model(trained, model.version)["evaluations"][-1]


def test_the_addendum_tells_of_the_audit_that_counts_and_that_a_later_one_had_too_few_patients(
    trained: Settings,
) -> None:
    model = champion(trained)
    too_few = "A later shortcut audit had too few patients, so what was found before stands. Too few patients."

    store_too_few(trained, model)
    before = (trained.models_dir / f"{model.version}.addendum.md").read_text()
    _, audit = audit_model(trained, None)
    store_too_few(trained, model)
    after = (trained.models_dir / f"{model.version}.addendum.md").read_text()

    assert too_few in before
    assert "counts instead of the card's" not in before
    assert f"Its newest shortcut audit, which counts instead of the card's: {audit.word}." in after
    assert after.index(audit.word) < after.index(too_few)


def store_too_few(settings: Settings, model: ModelRecord) -> ModelRecord:
    """As `xray models audit` stores and publishes an audit."""
    too_few = ShortcutAudit((), None, "Too few patients.", 6, 6)
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with transaction(engine) as session:
        after = record_audit(session, model, too_few, label_set_sha256="0" * 64, actor="a test", now=datetime.now(UTC))
        publish_addendum(settings, session, model.version)
    engine.dispose()
    return after


def test_a_version_that_is_not_there_cannot_be_audited(trained: Settings) -> None:
    with pytest.raises(RefusedInput, match="there is no such model"):
        audit_model(trained, "0099-nobody")
