"""The tables of scoring: X-rays, incoming files, folders, patients, results, labels, splits, scans."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Float,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.columns import Base, Digest, Id, RunId, where, word
from db.sealing import sealed
from xray_core.imaging.records import ScaleRule
from xray_core.reading.records import ReaderRole
from xray_core.records import FileFormat, FileState, FolderKind, Label, Outcome, ReasonCode, Split

_IS_CURRENT = "superseded_at IS NULL"


class XrayRow(Base):
    """One image content; `path` (escaped, relative to its folder) is where its bytes were last read."""

    __tablename__ = "xrays"
    __table_args__ = (
        CheckConstraint("typeof(sha256) = 'blob' AND length(sha256) = 32", name="sha256"),  # 64 digits on PostgreSQL
        Index("ix_xrays_folder_id", "folder_id"),
        Index("ix_xrays_unknown_patient", "patient", **where("patient IS NULL")),
        sealed(besides=("path", "folder_id")),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    sha256: Mapped[str] = mapped_column(Digest, unique=True)
    patient: Mapped[str | None]
    source: Mapped[str | None]
    view: Mapped[str | None]
    sex: Mapped[str | None]
    age_group: Mapped[str | None]
    file_format: Mapped[FileFormat] = mapped_column(word(FileFormat, "file_format"))
    width: Mapped[int]
    height: Mapped[int]
    mode: Mapped[str]
    scale_rule: Mapped[ScaleRule] = mapped_column(word(ScaleRule, "scale_rule"))
    flags: Mapped[str]
    dhash: Mapped[str] = mapped_column(Digest)
    path: Mapped[str]
    first_seen_at: Mapped[datetime]
    # SQLite adds no column that refers to another table and must have a value; `xray verify` asks for it.
    folder_id: Mapped[int] = mapped_column(ForeignKey("folders.id"), nullable=True)


class FolderRow(Base):
    """A folder that films lie in.

    `place` (escaped) is empty for the home's own incoming and archive folders, which are where the settings say; a
    path below the home is relative to it; any other is absolute, or `HOME:/path` in a ledger that homes share.
    """

    __tablename__ = "folders"
    __table_args__ = (UniqueConstraint("kind", "place"), sealed())

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[FolderKind] = mapped_column(word(FolderKind, "kind"))
    place: Mapped[str]
    recorded_at: Mapped[datetime]


class SiteKeyRow(Base):
    """Which site key this ledger's pseudonyms and sides hang on, by a fingerprint that does not give it away."""

    __tablename__ = "site_keys"
    __table_args__ = (
        CheckConstraint("id = 1", name="only_one"),
        CheckConstraint("length(fingerprint) = 64", name="fingerprint"),
        sealed(),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    recorded_at: Mapped[datetime]


class PatientFactRow(Base):
    """Whose a film is, as somebody said: of a content, or of a file name that has yet to come."""

    __tablename__ = "patient_facts"
    __table_args__ = (
        CheckConstraint("(sha256 IS NULL) <> (name IS NULL)", name="of_one_film"),
        CheckConstraint("source IN ('csv', 'labels', 'dataset', 'delivery')", name="source"),
        Index("ix_patient_facts_sha256", "sha256"),
        Index("ix_patient_facts_name", "name"),
        sealed(),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    sha256: Mapped[str | None] = mapped_column(Digest)
    name: Mapped[str | None]
    patient: Mapped[str]
    source: Mapped[str] = mapped_column(String(32))
    import_sha256: Mapped[str] = mapped_column(String(64))
    recorded_at: Mapped[datetime]


# As the partial indexes below have it, word for word: behind a parameter SQLite does not see that it is the same, and
# reads the whole table.
IS_UNDECIDED = text("incoming_files.state IN ('new', 'deferred')")
IS_SCORED = text("incoming_files.state = 'scored'")


class IncomingFileRow(Base):
    """One version (size, mtime, ctime) of a file in an incoming folder, and what was decided: a decision is sealed."""

    __tablename__ = "incoming_files"
    __table_args__ = (
        CheckConstraint("state <> 'scored' OR xray_id IS NOT NULL", name="scored_has_xray"),
        CheckConstraint("state NOT IN ('deferred', 'rejected') OR reason_code IS NOT NULL", name="refused_has_reason"),
        CheckConstraint("state <> 'deferred' OR retry_at IS NOT NULL", name="deferred_has_retry"),
        CheckConstraint("state NOT IN ('scored', 'rejected') OR claimed_by IS NULL", name="decided_is_free"),
        CheckConstraint("(claimed_by IS NULL) = (claimed_until IS NULL)", name="claim_is_whole"),
        Index("uq_incoming_files_current_name", "name", "folder_id", unique=True, **where("superseded_at IS NULL")),
        Index("ix_incoming_files_old_name", "name", **where("superseded_at IS NOT NULL")),
        # All that a scan must know, in order: it never touches the table itself.
        Index("ix_incoming_files_decided", "signature", "retry_at", **where(f"{_IS_CURRENT} AND state <> 'new'")),
        Index("ix_incoming_files_unscored", "state", "reason_code", **where(f"{_IS_CURRENT} AND state <> 'scored'")),
        Index("ix_incoming_files_undecided", "retry_at", **where(f"{_IS_CURRENT} AND state IN ('new', 'deferred')")),
        Index(
            "ix_incoming_files_staying", "folder_id", **where(f"{_IS_CURRENT} AND state = 'scored' AND left_at IS NULL")
        ),
        sealed(besides=("claimed_by", "claimed_until", "left_at"), only="state IN ('scored', 'rejected')"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    # Bytes compare alike on both databases, so an export has one order.
    name: Mapped[str] = mapped_column(Text().with_variant(Text(collation="C"), "postgresql"))
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    ctime_ns: Mapped[int] = mapped_column(BigInteger)
    signature: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[FileState] = mapped_column(word(FileState, "state"))
    reason_code: Mapped[ReasonCode | None] = mapped_column(word(ReasonCode, "reason_code"))
    reason_detail: Mapped[str | None]
    xray_id: Mapped[int | None] = mapped_column(ForeignKey("xrays.id"))
    refused_sha256: Mapped[str | None] = mapped_column(Digest)  # a scored file's content stands in xrays
    first_seen_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    deferred_since: Mapped[datetime | None]
    retry_at: Mapped[datetime | None]
    tries: Mapped[int]
    claimed_by: Mapped[str | None]
    claimed_until: Mapped[datetime | None]
    superseded_at: Mapped[datetime | None]
    # When it was moved to the archive, or found to be gone when that was tried.
    left_at: Mapped[datetime | None]
    folder_id: Mapped[int] = mapped_column(ForeignKey("folders.id"))


class ResultRow(Base):
    """P(covid) of one X-ray by one model and preprocessing; written once, never changed."""

    __tablename__ = "results"
    __table_args__ = (
        UniqueConstraint("xray_id", "model_id", "preprocessing_version"),
        # NaN compares false on SQLite (it is stored as NULL) and above everything on PostgreSQL.
        CheckConstraint("probability >= 0 AND probability <= 1", name="probability"),
        sealed(),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    xray_id: Mapped[int] = mapped_column(ForeignKey("xrays.id"))
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    preprocessing_version: Mapped[str]
    probability: Mapped[float] = mapped_column(Float(53))
    outcome: Mapped[Outcome] = mapped_column(word(Outcome, "outcome"))
    refer_reason: Mapped[str | None]
    distance: Mapped[float | None] = mapped_column(Float(53))
    scored_at: Mapped[datetime]
    flow_run_id: Mapped[str | None] = mapped_column(RunId)
    duration_ms: Mapped[float] = mapped_column(Float(53))
    shadow: Mapped[bool]
    # Pseudonyms of the study and the image, by which a PACS is joined; empty for PNG and JPEG.
    study: Mapped[str | None] = mapped_column(Digest)
    image: Mapped[str | None] = mapped_column(Digest)


class LabelRow(Base):
    """What one reader said of one X-ray; a change of mind is another row."""

    __tablename__ = "labels"
    __table_args__ = (
        CheckConstraint("source IN ('csv', 'folder', 'dataset', 'page')", name="source"),
        Index("ix_labels_xray_id", "xray_id", "id"),
        Index("uq_labels_request_id", "request_id", unique=True),
        Index("ix_labels_list_item_id", "list_item_id"),
        sealed(),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    xray_id: Mapped[int] = mapped_column(ForeignKey("xrays.id"))
    label: Mapped[Label] = mapped_column(word(Label, "label"))
    reader: Mapped[str | None]
    labelled_at: Mapped[datetime | None]
    source: Mapped[str]
    import_sha256: Mapped[str] = mapped_column(String(64))
    imported_at: Mapped[datetime]
    list_item_id: Mapped[int | None] = mapped_column(ForeignKey("reading_list_items.id"))
    role: Mapped[ReaderRole] = mapped_column(word(ReaderRole, "role"), default=ReaderRole.READER)
    sure: Mapped[bool | None]
    # Empty: nobody wrote down whether its reader saw a score.
    score_visible: Mapped[bool | None]
    shown_at: Mapped[datetime | None]
    seconds: Mapped[float | None] = mapped_column(Float(53))
    exclude_reason: Mapped[str | None]
    note: Mapped[str | None]
    prior_used: Mapped[bool | None]
    request_id: Mapped[str | None] = mapped_column(String(64))


class SplitMemberRow(Base):
    """The side of the split that a group (a patient, or a content without one) stands on, for ever."""

    __tablename__ = "split_members"
    __table_args__ = sealed()

    split_group: Mapped[str] = mapped_column(Text, primary_key=True)
    split: Mapped[Split] = mapped_column(word(Split, "split"))
    assigned_at: Mapped[datetime]


class ScanRow(Base):
    """A scan that decided something, or a row of equal scans that decided nothing: sealed when the next one begins."""

    __tablename__ = "scans"
    __table_args__ = sealed(only="scored + rejected + deferred > 0 OR id < (SELECT max(id) FROM scans)")

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    scans: Mapped[int]
    scored: Mapped[int]
    rejected: Mapped[int]
    deferred: Mapped[int]
    problem: Mapped[str | None]
