from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select

from db import audit, invariants
from db.engine import snapshot, transaction
from db.records import Stage
from db.registry import evaluations, models, terms
from tests.db.rows import NOW, add_model, manifest, promote, score_files, sha256_of
from xray_core.errors import RefusedInput
from xray_core.records import AuditVerdict

LATER = NOW + timedelta(days=1)


@pytest.fixture
def two_models(engine: Engine) -> Engine:
    with transaction(engine) as session:
        add_model(session, "m1")
        add_model(session, "m2")
    return engine


def stages(engine: Engine) -> dict[str, Stage]:
    with snapshot(engine) as session:
        assert list(invariants.find_breaches(session)) == []
        return {model.version: model.stage for model in models.list_models(session)}


def test_a_new_model_is_a_candidate_and_nobody_is_champion(two_models: Engine) -> None:
    with snapshot(two_models) as session:
        assert models.champion(session) is None
        assert models.rollback_target(session) is None
        found = models.find_model(session, "m1")

    assert found is not None
    assert (found.stage, found.keras_sha256, found.proven) == (Stage.CANDIDATE, sha256_of("keras m1"), False)


def test_promotion_retires_the_champion_before(two_models: Engine) -> None:
    with transaction(two_models) as session:
        promote(session, "m1")
        promoted = promote(session, "m2", now=LATER)

    assert promoted.stage is Stage.CHAMPION
    assert stages(two_models) == {"m1": Stage.RETIRED, "m2": Stage.CHAMPION}


def test_promoting_the_champion_again_changes_nothing(two_models: Engine) -> None:
    for _ in range(2):
        with transaction(two_models) as session:
            promote(session, "m1")

    with snapshot(two_models) as session:
        assert len(terms.history(session)) == 1


def test_the_way_back_leads_to_the_champion_before(two_models: Engine) -> None:
    targets = []
    for version in ("m1", "m2", "m1"):
        with transaction(two_models) as session:
            promote(session, version)
        with snapshot(two_models) as session:
            target = models.rollback_target(session)
            targets.append(target.version if target else None)

    assert targets == [None, "m1", "m2"]


def test_history_says_who_when_why_on_which_evidence_and_how_many(two_models: Engine) -> None:
    with transaction(two_models) as session:
        first = promote(session, "m1", reason="the first")
    score_files(two_models, first, {"a.png": "A", "b.png": "B"}, now=NOW + timedelta(hours=1))
    with transaction(two_models) as session:
        evaluation_id = evaluations.add_evaluation(
            session, model_id=2, set_name="test", label_set_sha256="1" * 64, figures={"auroc": 0.9}, now=LATER
        )
        models.promote(session, "m2", actor="gate", reason="not worse", evaluation_id=evaluation_id, now=LATER)

    with snapshot(two_models) as session:
        one, two = terms.history(session)

    assert (one.version, one.since, one.until, one.reason, one.xrays_scored) == ("m1", NOW, LATER, "the first", 2)
    assert (two.version, two.until, two.actor, two.evaluation_id, two.xrays_scored) == (
        "m2", None, "gate", evaluation_id, 0,
    )  # fmt: skip


def test_only_a_candidate_can_be_rejected(two_models: Engine) -> None:
    with transaction(two_models) as session:
        promote(session, "m1")
        models.reject(session, "m2", actor="gate", reason="worse", evaluation_id=None, now=NOW)

    with pytest.raises(RefusedInput, match="m1: is champion"), transaction(two_models) as session:
        models.reject(session, "m1", actor="gate", reason="worse", evaluation_id=None, now=NOW)
    assert stages(two_models) == {"m1": Stage.CHAMPION, "m2": Stage.REJECTED}


def test_an_unknown_version_is_refused_naming_those_there_are(two_models: Engine) -> None:
    refused = pytest.raises(RefusedInput, match="m9: no such model; registered: m1, m2")

    with refused, transaction(two_models) as session:
        promote(session, "m9")


def test_the_same_files_register_once_and_others_under_that_version_never(two_models: Engine) -> None:
    with transaction(two_models) as session:
        assert add_model(session, "m1").model_id == 1

    other = replace(manifest("m1"), keras_sha256="f" * 64)
    with pytest.raises(RefusedInput, match="versions are immutable"), transaction(two_models) as session:
        models.add_model(
            session,
            other,
            manifest_sha256="e" * 64,
            proven=False,
            audit_verdict=None,
            actor="test",
            now=NOW,
        )


def test_what_was_found_out_later_is_stored(two_models: Engine) -> None:
    with transaction(two_models) as session:
        judged = models.record_audit(
            session, "m1", proven=True, audit_verdict=AuditVerdict.CONFOUNDED, actor="audit", now=NOW
        )

    assert (judged.proven, judged.audit_verdict) == (True, AuditVerdict.CONFOUNDED)


def test_every_change_of_stage_is_audited_with_its_reason(two_models: Engine) -> None:
    with transaction(two_models) as session:
        promote(session, "m1", reason="the first")
        models.reject(session, "m2", actor="gate", reason="worse", evaluation_id=None, now=NOW)

    with snapshot(two_models) as session:
        log = session.scalars(select(audit.AuditRow).order_by(audit.AuditRow.position)).all()
    entries = [entry for entry in log if entry.action != "sealed"][-2:]  # the seals of what changed stand between

    assert [(entry.action, entry.subject) for entry in entries] == [
        ("model-promoted", "m1"),
        ("model-rejected", "m2"),
    ]
    assert json.loads(entries[0].detail) == {"before": None, "evaluation_id": None, "reason": "the first"}


def test_evaluations_are_kept_and_a_nan_is_refused(two_models: Engine) -> None:
    with transaction(two_models) as session:
        evaluations.add_evaluation(
            session, model_id=1, set_name="site B", label_set_sha256="1" * 64, figures={"auroc": 0.5}, now=NOW
        )

    with snapshot(two_models) as session:
        (found,) = evaluations.list_evaluations(session, version="m1")
        assert evaluations.list_evaluations(session, version="m2") == []
    assert (found.model_version, found.set_name, json.loads(found.figures)) == ("m1", "site B", {"auroc": 0.5})
    with pytest.raises(ValueError, match="JSON"), transaction(two_models) as session:
        evaluations.add_evaluation(
            session, model_id=1, set_name="x", label_set_sha256="1" * 64, figures={"auroc": float("nan")}, now=NOW
        )
