"""The tables, as the newest migration leaves them."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Enum,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from xray_core.records import (
    AuditVerdict,
    FileFormat,
    FileState,
    Label,
    Outcome,
    ReasonCode,
    ScaleRule,
    Split,
    Stage,
    TrainingState,
    Verdict,
)

# The revision that this code needs; `check_schema` compares it without importing Alembic.
HEAD = "0001"

# Triggers refuse every UPDATE and DELETE here.
APPEND_ONLY = ("results", "labels", "split_members", "evaluations", "audit_log")


class UtcTime(TypeDecorator[datetime]):
    """An aware time, stored and returned in UTC on both databases; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse a time that does not say where it belongs."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"received {value.isoformat()}, a time without a zone; expected an aware one")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """SQLite forgets the zone, PostgreSQL may answer in another."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """All tables of the results database."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map = {datetime: UtcTime, str: Text}  # noqa: RUF012  # SQLAlchemy reads it from the class


# SQLite numbers rows by itself only where the key is called INTEGER.
_Id = BigInteger().with_variant(Integer, "sqlite")


def _word(kind: type[StrEnum], column: str) -> Enum:
    """A state as text under a CHECK; it comes back as the enum's member."""
    return Enum(
        kind,
        name=column,
        native_enum=False,
        create_constraint=True,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


def _where(condition: str) -> dict[str, Any]:
    """The condition of a partial index.

    PostgreSQL has the same ones by migration. To name them here too would make SQLAlchemy import that dialect
    (0.1 s) in every scan on SQLite.
    """
    return {"sqlite_where": text(condition)}


class XrayRow(Base):
    """One image content; `path` (escaped, absolute) is where its bytes were last read."""

    __tablename__ = "xrays"
    __table_args__ = (CheckConstraint("length(sha256) = 64", name="sha256"),)

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    patient: Mapped[str | None]
    source: Mapped[str | None]
    view: Mapped[str | None]
    sex: Mapped[str | None]
    age_group: Mapped[str | None]
    file_format: Mapped[FileFormat] = mapped_column(_word(FileFormat, "file_format"))
    width: Mapped[int]
    height: Mapped[int]
    mode: Mapped[str]
    scale_rule: Mapped[ScaleRule] = mapped_column(_word(ScaleRule, "scale_rule"))
    flags: Mapped[str]
    dhash: Mapped[str]
    path: Mapped[str]
    first_seen_at: Mapped[datetime]


class IncomingFileRow(Base):
    """One version (size, mtime) of a file in the incoming folder, and what was decided about it."""

    __tablename__ = "incoming_files"
    __table_args__ = (
        CheckConstraint("state <> 'scored' OR xray_id IS NOT NULL", name="scored_has_xray"),
        CheckConstraint("state NOT IN ('deferred', 'rejected') OR reason_code IS NOT NULL", name="refused_has_reason"),
        CheckConstraint("state <> 'deferred' OR retry_at IS NOT NULL", name="deferred_has_retry"),
        CheckConstraint("state NOT IN ('scored', 'rejected') OR claimed_by IS NULL", name="decided_is_free"),
        CheckConstraint("(claimed_by IS NULL) = (claimed_until IS NULL)", name="claim_is_whole"),
        Index("uq_incoming_files_current_name", "name", unique=True, **_where("superseded_at IS NULL")),
        Index("ix_incoming_files_old_name", "name", **_where("superseded_at IS NOT NULL")),
        # All that a scan must know, in order: it never touches the table itself.
        Index(
            "ix_incoming_files_decided", "signature", "retry_at", **_where("superseded_at IS NULL AND state <> 'new'")
        ),
        Index(
            "ix_incoming_files_undecided",
            "retry_at",
            **_where("superseded_at IS NULL AND state IN ('new', 'deferred')"),
        ),
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    # Bytes compare alike on both databases, so an export has one order.
    name: Mapped[str] = mapped_column(Text().with_variant(Text(collation="C"), "postgresql"))
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    ctime_ns: Mapped[int] = mapped_column(BigInteger)
    signature: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[FileState] = mapped_column(_word(FileState, "state"))
    reason_code: Mapped[ReasonCode | None] = mapped_column(_word(ReasonCode, "reason_code"))
    reason_detail: Mapped[str | None]
    xray_id: Mapped[int | None] = mapped_column(ForeignKey("xrays.id"))
    # The content that was refused; a scored file's content stands in xrays.
    refused_sha256: Mapped[str | None] = mapped_column(String(64))
    first_seen_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    deferred_since: Mapped[datetime | None]
    retry_at: Mapped[datetime | None]
    tries: Mapped[int]
    claimed_by: Mapped[str | None]
    claimed_until: Mapped[datetime | None]
    superseded_at: Mapped[datetime | None]


class ModelRow(Base):
    """A trained classifier. Only its stage and what was found out about it ever change."""

    __tablename__ = "models"
    __table_args__ = (
        CheckConstraint(
            "length(keras_sha256) = 64 AND length(onnx_sha256) = 64 AND length(manifest_sha256) = 64", name="sha256"
        ),
        Index("uq_models_champion", "stage", unique=True, **_where("stage = 'champion'")),
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    version: Mapped[str] = mapped_column(Text, unique=True)
    stage: Mapped[Stage] = mapped_column(_word(Stage, "stage"))
    architecture: Mapped[str]
    preprocessing_version: Mapped[str]
    keras_sha256: Mapped[str] = mapped_column(String(64))
    onnx_sha256: Mapped[str] = mapped_column(String(64))
    # Of model.json: thresholds, scaling and what the output means decide as much as the weights do.
    manifest_sha256: Mapped[str] = mapped_column(String(64))
    label_set_sha256: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    proven: Mapped[bool]
    audit_verdict: Mapped[AuditVerdict | None] = mapped_column(_word(AuditVerdict, "audit_verdict"))


class ResultRow(Base):
    """P(covid) of one X-ray by one model and preprocessing; written once, never changed."""

    __tablename__ = "results"
    __table_args__ = (
        UniqueConstraint("xray_id", "model_id", "preprocessing_version"),
        # NaN compares false on SQLite (it is stored as NULL) and above everything on PostgreSQL.
        CheckConstraint("probability >= 0 AND probability <= 1", name="probability"),
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    xray_id: Mapped[int] = mapped_column(ForeignKey("xrays.id"))
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    preprocessing_version: Mapped[str]
    probability: Mapped[float] = mapped_column(Float(53))
    outcome: Mapped[Outcome] = mapped_column(_word(Outcome, "outcome"))
    refer_reason: Mapped[str | None]
    distance: Mapped[float | None] = mapped_column(Float(53))
    scored_at: Mapped[datetime]
    flow_run_id: Mapped[str | None]
    duration_ms: Mapped[float] = mapped_column(Float(53))
    shadow: Mapped[bool]


class LabelRow(Base):
    """What one reader said of one X-ray; a change of mind is another row."""

    __tablename__ = "labels"
    __table_args__ = (
        CheckConstraint("source IN ('csv', 'folder', 'dataset')", name="source"),
        Index("ix_labels_xray_id", "xray_id", "id"),
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    xray_id: Mapped[int] = mapped_column(ForeignKey("xrays.id"))
    label: Mapped[Label] = mapped_column(_word(Label, "label"))
    reader: Mapped[str | None]
    labelled_at: Mapped[datetime | None]
    source: Mapped[str]
    import_sha256: Mapped[str] = mapped_column(String(64))
    imported_at: Mapped[datetime]


class SplitMemberRow(Base):
    """The side of the split that a group (a patient, or a content without one) stands on, for ever."""

    __tablename__ = "split_members"

    split_group: Mapped[str] = mapped_column(Text, primary_key=True)
    split: Mapped[Split] = mapped_column(_word(Split, "split"))
    assigned_at: Mapped[datetime]


class EvaluationRow(Base):
    """How a model did on a named set of labelled X-rays; `figures` is JSON."""

    __tablename__ = "evaluations"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    set_name: Mapped[str]
    label_set_sha256: Mapped[str] = mapped_column(String(64))
    figures: Mapped[str]
    created_at: Mapped[datetime]


class ChampionTermRow(Base):
    """One time as champion; the open one (`until` is NULL) is the champion's."""

    __tablename__ = "champion_terms"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
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
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    label_set_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    state: Mapped[TrainingState] = mapped_column(_word(TrainingState, "state"))
    label_watermark: Mapped[int] = mapped_column(BigInteger)
    trigger: Mapped[str]
    claimed_by: Mapped[str | None]
    claimed_until: Mapped[datetime | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    candidate_model_id: Mapped[int | None] = mapped_column(ForeignKey("models.id"))
    verdict: Mapped[Verdict | None] = mapped_column(_word(Verdict, "verdict"))
    reason: Mapped[str | None]
    policy_sha256: Mapped[str | None] = mapped_column(String(64))
    flow_run_id: Mapped[str | None]


class ScanRow(Base):
    """A scan that decided something, or a row of equal scans that decided nothing."""

    __tablename__ = "scans"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    scans: Mapped[int]
    scored: Mapped[int]
    rejected: Mapped[int]
    deferred: Mapped[int]
    problem: Mapped[str | None]


class AuditRow(Base):
    """One link of the audit chain; positions are 1, 2, 3 without a gap."""

    __tablename__ = "audit_log"

    position: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[str]
    previous_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    sha256: Mapped[str] = mapped_column(String(64))


# A view: each X-ray with the champion's result (else its newest), shadow ones never, and its latest label.
current_results = Table(
    "current_results",
    MetaData(),
    Column("xray_id", _Id),
    Column("sha256", String(64)),
    Column("patient", Text),
    Column("result_id", _Id),
    Column("model_id", _Id),
    Column("model_version", Text),
    Column("preprocessing_version", Text),
    Column("probability", Float(53)),
    Column("outcome", _word(Outcome, "outcome")),
    Column("refer_reason", Text),
    Column("scored_at", UtcTime),
    Column("label", _word(Label, "label")),
    Column("labelled_by", Text),
    Column("labelled_at", UtcTime),
)
