"""The tables of the registry: models, evaluations, champion terms, training runs."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.columns import Base, Id, where, word
from db.records import Stage, TrainingState
from db.sealing import sealed
from xray_core.records import AuditVerdict, Verdict


class ModelRow(Base):
    """A trained classifier. Only its stage and what was found out about it ever change."""

    __tablename__ = "models"
    __table_args__ = (
        CheckConstraint(
            "length(keras_sha256) = 64 AND length(onnx_sha256) = 64 AND length(manifest_sha256) = 64", name="sha256"
        ),
        Index("uq_models_champion", "stage", unique=True, **where("stage = 'champion'")),
        sealed(),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    version: Mapped[str] = mapped_column(Text, unique=True)
    stage: Mapped[Stage] = mapped_column(word(Stage, "stage"))
    architecture: Mapped[str]
    preprocessing_version: Mapped[str]
    keras_sha256: Mapped[str] = mapped_column(String(64))
    onnx_sha256: Mapped[str] = mapped_column(String(64))
    # Of model.json: thresholds, scaling and what the output means decide as much as the weights do.
    manifest_sha256: Mapped[str] = mapped_column(String(64))
    label_set_sha256: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    proven: Mapped[bool]
    audit_verdict: Mapped[AuditVerdict | None] = mapped_column(word(AuditVerdict, "audit_verdict"))


class EvaluationRow(Base):
    """How a model did on a named set of labelled X-rays; `figures` is JSON."""

    __tablename__ = "evaluations"
    __table_args__ = (Index("ix_evaluations_model_id", "model_id", "set_name"), sealed())

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    set_name: Mapped[str]
    label_set_sha256: Mapped[str] = mapped_column(String(64))
    figures: Mapped[str]
    created_at: Mapped[datetime]


class ChampionTermRow(Base):
    """One time as champion; the open one (`until` is NULL) is the champion's."""

    __tablename__ = "champion_terms"
    __table_args__ = sealed()

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    since: Mapped[datetime]
    until: Mapped[datetime | None]
    actor: Mapped[str]
    reason: Mapped[str]
    evaluation_id: Mapped[int | None] = mapped_column(ForeignKey("evaluations.id"))


class TrainingRunRow(Base):
    """One training per label-set digest, whoever asks for it."""

    __tablename__ = "training_runs"
    __table_args__ = (
        CheckConstraint("(claimed_by IS NULL) = (claimed_until IS NULL)", name="claim_is_whole"),
        CheckConstraint("(state = 'running') = (finished_at IS NULL)", name="finished_has_time"),
        sealed(besides=("claimed_by", "claimed_until"), only="state <> 'running'"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    label_set_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    state: Mapped[TrainingState] = mapped_column(word(TrainingState, "state"))
    label_watermark: Mapped[int] = mapped_column(BigInteger)
    trigger: Mapped[str]
    claimed_by: Mapped[str | None]
    claimed_until: Mapped[datetime | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    candidate_model_id: Mapped[int | None] = mapped_column(ForeignKey("models.id"))
    verdict: Mapped[Verdict | None] = mapped_column(word(Verdict, "verdict"))
    reason: Mapped[str | None]
    policy_sha256: Mapped[str | None] = mapped_column(String(64))
    flow_run_id: Mapped[str | None]
