"""The first tables: X-rays, incoming files, results, labels, models, trainings, scans and the audit log.

The words of each state stand here as they were when this was written; `db/schema.py` has today's. What is
history (results, labels, the split, evaluations, the audit log) is append-only by triggers.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

LABELS = ("covid", "normal", "unsure", "exclude")
OUTCOMES = ("positive", "negative", "refer")
# fmt: off
REASONS = (
    "UNSETTLED", "EMPTY", "TRUNCATED", "CHANGED_DURING_READ", "GONE", "UNREADABLE",
    "SYMLINK", "NOT_REGULAR_FILE", "FILE_TOO_LARGE", "BAD_NAME", "UNSUPPORTED_FORMAT", "CORRUPT_IMAGE",
    "CORRUPT_DICOM", "TOO_MANY_PIXELS", "TOO_SMALL", "BAD_ASPECT", "MULTI_FRAME", "UNSUPPORTED_COLOUR",
    "NOT_GREYSCALE", "TRANSPARENT_PIXELS", "ONE_BIT_IMAGE", "NO_CONTRAST", "NON_FINITE_PIXELS",
    "UNSUPPORTED_TRANSFER_SYNTAX", "NO_PIXEL_DATA", "PIXEL_DATA_MISMATCH", "WRONG_MODALITY", "WRONG_BODY_PART",
    "DECODE_TIMEOUT", "DECODER_CRASHED", "RESOURCE_LIMIT", "NON_FINITE_SCORE",
)
# fmt: on
APPEND_ONLY = ("results", "labels", "split_members", "evaluations", "audit_log")
# What makes a model version that version.
FIXED_OF_A_MODEL = (
    "id, version, architecture, preprocessing_version, keras_sha256, onnx_sha256, manifest_sha256, "
    "label_set_sha256, created_at"
)

CURRENT_RESULTS = """
CREATE VIEW current_results AS
SELECT x.id AS xray_id, x.sha256 AS sha256, x.patient AS patient,
       r.id AS result_id, r.model_id AS model_id, m.version AS model_version,
       r.preprocessing_version AS preprocessing_version, r.probability AS probability, r.outcome AS outcome,
       r.refer_reason AS refer_reason, r.scored_at AS scored_at,
       l.label AS label, l.reader AS labelled_by, l.labelled_at AS labelled_at
FROM xrays AS x
LEFT JOIN results AS r ON r.id = coalesce(
    (SELECT max(c.id) FROM results AS c
     WHERE c.xray_id = x.id AND NOT c.shadow AND c.model_id = (SELECT id FROM models WHERE stage = 'champion')),
    (SELECT max(n.id) FROM results AS n WHERE n.xray_id = x.id AND NOT n.shadow))
LEFT JOIN models AS m ON m.id = r.model_id
LEFT JOIN labels AS l ON l.id = (SELECT max(k.id) FROM labels AS k WHERE k.xray_id = x.id)
"""


def upgrade() -> None:
    """Create everything in an empty database."""
    _create_xrays_and_files()
    _create_models_and_evaluations()
    _create_results_and_labels()
    _create_runs_and_audit()
    op.execute(CURRENT_RESULTS)
    if op.get_bind().dialect.name == "sqlite":
        _protect_on_sqlite()
    else:
        _protect_on_postgresql()


def _create_xrays_and_files() -> None:
    op.create_table(
        "xrays",
        _id(),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("patient", sa.Text),
        sa.Column("source", sa.Text),
        sa.Column("view", sa.Text),
        sa.Column("sex", sa.Text),
        sa.Column("age_group", sa.Text),
        _word("xrays", "file_format", ("png", "jpeg", "dicom")),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        _word("xrays", "scale_rule", ("8bit", "minmax", "voi")),
        sa.Column("flags", sa.Text, nullable=False),
        sa.Column("dhash", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        _time("first_seen_at"),
        sa.UniqueConstraint("sha256", name="uq_xrays_sha256"),
        sa.CheckConstraint("length(sha256) = 64", name="ck_xrays_sha256"),
    )
    op.create_table(
        "incoming_files",
        _id(),
        sa.Column("name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("ctime_ns", sa.BigInteger, nullable=False),
        sa.Column("signature", sa.BigInteger, nullable=False),
        _word("incoming_files", "state", ("new", "deferred", "scored", "rejected")),
        _word("incoming_files", "reason_code", REASONS, nullable=True),
        sa.Column("reason_detail", sa.Text),
        _reference("incoming_files", "xray_id", "xrays", nullable=True),
        sa.Column("refused_sha256", sa.String(64)),
        _time("first_seen_at"),
        _time("decided_at", nullable=True),
        _time("deferred_since", nullable=True),
        _time("retry_at", nullable=True),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("claimed_by", sa.Text),
        _time("claimed_until", nullable=True),
        _time("superseded_at", nullable=True),
        _rule("incoming_files", "scored_has_xray", "state <> 'scored' OR xray_id IS NOT NULL"),
        _rule(
            "incoming_files", "refused_has_reason", "state NOT IN ('deferred', 'rejected') OR reason_code IS NOT NULL"
        ),
        _rule("incoming_files", "deferred_has_retry", "state <> 'deferred' OR retry_at IS NOT NULL"),
        _rule("incoming_files", "decided_is_free", "state NOT IN ('scored', 'rejected') OR claimed_by IS NULL"),
        _rule("incoming_files", "claim_is_whole", "(claimed_by IS NULL) = (claimed_until IS NULL)"),
    )
    _index("uq_incoming_files_current_name", "incoming_files", "name", where="superseded_at IS NULL", unique=True)
    _index("ix_incoming_files_old_name", "incoming_files", "name", where="superseded_at IS NOT NULL")
    _index(
        "ix_incoming_files_decided",
        "incoming_files",
        "signature",
        "retry_at",
        where="superseded_at IS NULL AND state <> 'new'",
    )
    _index(
        "ix_incoming_files_undecided",
        "incoming_files",
        "retry_at",
        where="superseded_at IS NULL AND state IN ('new', 'deferred')",
    )


def _create_models_and_evaluations() -> None:
    op.create_table(
        "models",
        _id(),
        sa.Column("version", sa.Text, nullable=False),
        _word("models", "stage", ("candidate", "champion", "retired", "rejected")),
        sa.Column("architecture", sa.Text, nullable=False),
        sa.Column("preprocessing_version", sa.Text, nullable=False),
        sa.Column("keras_sha256", sa.String(64), nullable=False),
        sa.Column("onnx_sha256", sa.String(64), nullable=False),
        sa.Column("manifest_sha256", sa.String(64), nullable=False),
        sa.Column("label_set_sha256", sa.String(64)),
        _time("created_at"),
        sa.Column("proven", sa.Boolean, nullable=False),
        _word("models", "audit_verdict", ("clean", "suspect", "confounded"), nullable=True),
        sa.UniqueConstraint("version", name="uq_models_version"),
        _rule(
            "models",
            "sha256",
            "length(keras_sha256) = 64 AND length(onnx_sha256) = 64 AND length(manifest_sha256) = 64",
        ),
    )
    _index("uq_models_champion", "models", "stage", where="stage = 'champion'", unique=True)
    op.create_table(
        "evaluations",
        _id(),
        _reference("evaluations", "model_id", "models"),
        sa.Column("set_name", sa.Text, nullable=False),
        sa.Column("label_set_sha256", sa.String(64), nullable=False),
        sa.Column("figures", sa.Text, nullable=False),
        _time("created_at"),
    )
    op.create_table(
        "champion_terms",
        _id(),
        _reference("champion_terms", "model_id", "models"),
        _time("since"),
        _time("until", nullable=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        _reference("champion_terms", "evaluation_id", "evaluations", nullable=True),
    )


def _create_results_and_labels() -> None:
    op.create_table(
        "results",
        _id(),
        _reference("results", "xray_id", "xrays"),
        _reference("results", "model_id", "models"),
        sa.Column("preprocessing_version", sa.Text, nullable=False),
        sa.Column("probability", sa.Float(53), nullable=False),
        _word("results", "outcome", OUTCOMES),
        sa.Column("refer_reason", sa.Text),
        sa.Column("distance", sa.Float(53)),
        _time("scored_at"),
        sa.Column("flow_run_id", sa.Text),
        sa.Column("duration_ms", sa.Float(53), nullable=False),
        sa.Column("shadow", sa.Boolean, nullable=False),
        sa.UniqueConstraint(
            "xray_id",
            "model_id",
            "preprocessing_version",
            name="uq_results_xray_id_model_id_preprocessing_version",
        ),
        _rule("results", "probability", "probability >= 0 AND probability <= 1"),
    )
    op.create_table(
        "labels",
        _id(),
        _reference("labels", "xray_id", "xrays"),
        _word("labels", "label", LABELS),
        sa.Column("reader", sa.Text),
        _time("labelled_at", nullable=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("import_sha256", sa.String(64), nullable=False),
        _time("imported_at"),
        _rule("labels", "source", "source IN ('csv', 'folder', 'dataset')"),
    )
    op.create_index("ix_labels_xray_id", "labels", ["xray_id", "id"])
    op.create_table(
        "split_members",
        sa.Column("split_group", sa.Text, nullable=False),
        _word("split_members", "split", ("train", "validation", "test")),
        _time("assigned_at"),
        sa.PrimaryKeyConstraint("split_group", name="pk_split_members"),
    )


def _create_runs_and_audit() -> None:
    op.create_table(
        "training_runs",
        _id(),
        sa.Column("label_set_sha256", sa.String(64), nullable=False),
        _word("training_runs", "state", ("running", "finished", "failed")),
        sa.Column("label_watermark", sa.BigInteger, nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("claimed_by", sa.Text),
        _time("claimed_until", nullable=True),
        _time("started_at"),
        _time("finished_at", nullable=True),
        _reference("training_runs", "candidate_model_id", "models", nullable=True),
        _word("training_runs", "verdict", ("promote", "reject", "insufficient evidence"), nullable=True),
        sa.Column("reason", sa.Text),
        sa.Column("policy_sha256", sa.String(64)),
        sa.Column("flow_run_id", sa.Text),
        sa.UniqueConstraint("label_set_sha256", name="uq_training_runs_label_set_sha256"),
        _rule("training_runs", "claim_is_whole", "(claimed_by IS NULL) = (claimed_until IS NULL)"),
        _rule("training_runs", "finished_has_time", "(state = 'running') = (finished_at IS NULL)"),
    )
    op.create_table(
        "scans",
        _id(),
        _time("started_at"),
        _time("finished_at"),
        sa.Column("scans", sa.Integer, nullable=False),
        sa.Column("scored", sa.Integer, nullable=False),
        sa.Column("rejected", sa.Integer, nullable=False),
        sa.Column("deferred", sa.Integer, nullable=False),
        sa.Column("problem", sa.Text),
    )
    op.create_table(
        "audit_log",
        sa.Column("position", _bigint(), autoincrement=False, nullable=False),
        _time("at"),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous_sha256", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_audit_log"),
        sa.UniqueConstraint("previous_sha256", name="uq_audit_log_previous_sha256"),
    )


def _protect_on_sqlite() -> None:
    for table in APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_refuses_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
    op.execute(
        # REPLACE deletes unnoticed where a client leaves recursive_triggers off; this one it cannot pass.
        "CREATE TRIGGER audit_log_grows_at_its_end BEFORE INSERT ON audit_log "
        "WHEN NEW.position <> (SELECT coalesce(max(position), 0) + 1 FROM audit_log) "
        "BEGIN SELECT RAISE(ABORT, 'audit_log grows at its end only'); END"
    )
    op.execute(
        f"CREATE TRIGGER models_stay_what_they_are BEFORE UPDATE OF {FIXED_OF_A_MODEL} ON models "
        "BEGIN SELECT RAISE(ABORT, 'a model version is immutable'); END"
    )
    op.execute(
        "CREATE TRIGGER models_refuses_delete BEFORE DELETE ON models "
        "BEGIN SELECT RAISE(ABORT, 'models are retired, never deleted'); END"
    )


def _protect_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% refuses %', TG_TABLE_NAME, TG_OP; END $$"
    )
    op.execute(
        "CREATE FUNCTION refuse_gap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.position <> (SELECT coalesce(max(position), 0) + 1 FROM audit_log) THEN "
        "RAISE EXCEPTION 'audit_log grows at its end only'; END IF; RETURN NEW; END $$"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_refuses_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_refuses_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute(
        "CREATE TRIGGER audit_log_grows_at_its_end BEFORE INSERT ON audit_log "
        "FOR EACH ROW EXECUTE FUNCTION refuse_gap()"
    )
    op.execute(
        f"CREATE TRIGGER models_stay_what_they_are BEFORE UPDATE OF {FIXED_OF_A_MODEL} OR DELETE ON models "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )


def _bigint() -> sa.types.TypeEngine[int]:
    # SQLite numbers rows by itself only where the key is called INTEGER.
    return sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _id() -> sa.Column[int]:
    return sa.Column("id", _bigint(), primary_key=True)


def _time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _word(table: str, name: str, words: tuple[str, ...], *, nullable: bool = False) -> sa.Column[str]:
    listed = ", ".join(f"'{word}'" for word in words)
    rule = sa.CheckConstraint(f"{name} IN ({listed})", name=f"ck_{table}_{name}")
    return sa.Column(name, sa.String(32), rule, nullable=nullable)


def _reference(table: str, name: str, target: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, _bigint(), sa.ForeignKey(f"{target}.id", name=f"fk_{table}_{name}"), nullable=nullable)


def _rule(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=f"ck_{table}_{name}")


def _index(name: str, table: str, *columns: str, where: str, unique: bool = False) -> None:
    op.create_index(
        name,
        table,
        list(columns),
        unique=unique,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )
