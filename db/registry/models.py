"""The model registry: which versions there are, which one is champion, and which may become it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db import audit
from db.records import ModelRecord, Stage
from db.registry.tables import ChampionTermRow, ModelRow
from db.sealing import adding, changing
from xray_core.errors import RefusedInput
from xray_core.models.records import ModelManifest
from xray_core.records import AuditVerdict


def champion(session: Session) -> ModelRecord | None:
    """The model that scores, or None before the first promotion."""
    row = session.scalar(select(ModelRow).where(ModelRow.stage == Stage.CHAMPION))
    return None if row is None else _to_record(row)


def find_model(session: Session, version: str) -> ModelRecord | None:
    """A model by its version."""
    row = session.scalar(select(ModelRow).where(ModelRow.version == version))
    return None if row is None else _to_record(row)


def find_first_proven(session: Session) -> ModelRecord | None:
    """The first champion that had beaten the one before it, or None before there is one."""
    row = session.scalar(
        select(ModelRow)
        .join(ChampionTermRow, ChampionTermRow.model_id == ModelRow.id)
        .where(ModelRow.proven)
        .order_by(ChampionTermRow.id)
        .limit(1)
    )
    return None if row is None else _to_record(row)


def list_models(session: Session, *, stage: Stage | None = None) -> list[ModelRecord]:
    """All models, or those of one stage, in the order they were registered."""
    statement = select(ModelRow).order_by(ModelRow.id)
    if stage is not None:
        statement = statement.where(ModelRow.stage == stage)
    return [_to_record(row) for row in session.scalars(statement)]


def add_model(
    session: Session,
    manifest: ModelManifest,
    *,
    manifest_sha256: str,
    proven: bool,
    audit_verdict: AuditVerdict | None,
    actor: str,
    now: datetime,
) -> ModelRecord:
    """Register the model of a finished model folder as a candidate.

    Registering the very same files again returns what is there. Raises RefusedInput when the version is taken
    by other files.
    """
    known = find_model(session, manifest.version)
    if known is not None:
        if (known.keras_sha256, known.onnx_sha256) == (manifest.keras_sha256, manifest.onnx_sha256):
            return known
        raise RefusedInput(
            f"{manifest.version}: received files with keras_sha256 {manifest.keras_sha256[:12]}...; this version is "
            f"registered with {known.keras_sha256[:12]}... and versions are immutable"
        )
    row = ModelRow(
        version=manifest.version,
        stage=Stage.CANDIDATE,
        architecture=manifest.architecture,
        preprocessing_version=manifest.preprocessing.version,
        keras_sha256=manifest.keras_sha256,
        onnx_sha256=manifest.onnx_sha256,
        manifest_sha256=manifest_sha256,
        label_set_sha256=manifest.label_set_sha256,
        created_at=manifest.created_at,
        proven=proven,
        audit_verdict=audit_verdict,
    )
    with adding(session, ModelRow):
        session.add(row)
    detail = {
        "keras_sha256": manifest.keras_sha256,
        "onnx_sha256": manifest.onnx_sha256,
        "manifest_sha256": manifest_sha256,
    }
    audit.append(session, actor=actor, action="model-added", subject=manifest.version, detail=detail, now=now)
    return _to_record(row)


def record_audit(
    session: Session, version: str, *, proven: bool, audit_verdict: AuditVerdict | None, actor: str, now: datetime
) -> ModelRecord:
    """Store what was found out about a model after it was registered."""
    known = _get(session, version)
    with changing(session, ModelRow, [known.model_id]):
        session.execute(
            update(ModelRow).where(ModelRow.id == known.model_id).values(proven=proven, audit_verdict=audit_verdict)
        )
    detail = {"proven": proven, "audit_verdict": audit_verdict}
    audit.append(session, actor=actor, action="model-judged", subject=version, detail=detail, now=now)
    return _get(session, version)


def promote(
    session: Session, version: str, *, actor: str, reason: str, evaluation_id: int | None, now: datetime
) -> ModelRecord:
    """Make a model champion and retire the one before, with the reason; all in the caller's transaction.

    Promoting the champion changes nothing, so a promotion may be tried again. Raises RefusedInput for a version
    that is not registered.
    """
    chosen, before = _get(session, version), champion(session)
    if chosen.stage is Stage.CHAMPION:
        return chosen
    if before is not None:
        _set_stage(session, before, Stage.RETIRED)
        _end_term(session, now)
    _set_stage(session, chosen, Stage.CHAMPION)
    with adding(session, ChampionTermRow):
        session.add(
            ChampionTermRow(
                model_id=chosen.model_id, since=now, until=None, actor=actor, reason=reason, evaluation_id=evaluation_id
            )
        )
    detail = {"reason": reason, "evaluation_id": evaluation_id, "before": before.version if before else None}
    audit.append(session, actor=actor, action="model-promoted", subject=version, detail=detail, now=now)
    return _get(session, version)


def reject(
    session: Session, version: str, *, actor: str, reason: str, evaluation_id: int | None, now: datetime
) -> ModelRecord:
    """Mark a candidate as rejected, with the reason. Raises RefusedInput for anything but a candidate."""
    chosen = _get(session, version)
    if chosen.stage is Stage.REJECTED:
        return chosen
    if chosen.stage is not Stage.CANDIDATE:
        raise RefusedInput(f"{version}: is {chosen.stage}; only a candidate can be rejected")
    _set_stage(session, chosen, Stage.REJECTED)
    detail = {"reason": reason, "evaluation_id": evaluation_id}
    audit.append(session, actor=actor, action="model-rejected", subject=version, detail=detail, now=now)
    return _get(session, version)


def rollback_target(session: Session) -> ModelRecord | None:
    """The model that was champion before today's, or None when there was no other."""
    today = champion(session)
    row = session.scalar(
        select(ModelRow)
        .join(ChampionTermRow, ChampionTermRow.model_id == ModelRow.id)
        .where(ChampionTermRow.until.is_not(None), ModelRow.id != (today.model_id if today else None))
        .order_by(ChampionTermRow.id.desc())
        .limit(1)
    )
    return None if row is None else _to_record(row)


def first_champion(session: Session) -> str | None:
    """The version that was champion before any other; it displaced nobody."""
    term = ChampionTermRow
    return session.scalar(select(ModelRow.version).join(term, term.model_id == ModelRow.id).order_by(term.id).limit(1))


def _get(session: Session, version: str) -> ModelRecord:
    found = find_model(session, version)
    if found is None:
        known = ", ".join(model.version for model in list_models(session)) or "none"
        raise RefusedInput(f"{version}: no such model; registered: {known}")
    return found


def _set_stage(session: Session, model: ModelRecord, stage: Stage) -> None:
    with changing(session, ModelRow, [model.model_id]):
        session.execute(update(ModelRow).where(ModelRow.id == model.model_id).values(stage=stage))


def _end_term(session: Session, now: datetime) -> None:
    term = ChampionTermRow
    open_terms = session.scalars(select(term.id).where(term.until.is_(None))).all()
    with changing(session, term, open_terms):
        session.execute(update(term).where(term.id.in_(open_terms)).values(until=now))


def _to_record(row: ModelRow) -> ModelRecord:
    return ModelRecord(
        model_id=row.id,
        version=row.version,
        stage=row.stage,
        architecture=row.architecture,
        preprocessing_version=row.preprocessing_version,
        keras_sha256=row.keras_sha256,
        onnx_sha256=row.onnx_sha256,
        manifest_sha256=row.manifest_sha256,
        label_set_sha256=row.label_set_sha256,
        created_at=row.created_at,
        proven=row.proven,
        audit_verdict=row.audit_verdict,
    )
