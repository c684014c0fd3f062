from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from db import columns, invariants, schema
from db.engine import snapshot, transaction
from db.records import Stage, TrainingState
from db.scoring import site_key, tables, views, xrays
from db.sealing import adding
from tests.db.rows import NOW, ROOT, add_champion, add_model, import_labels, label_row, score_files
from xray_core.imaging.records import ScaleRule
from xray_core.records import AuditVerdict, FileFormat, FileState, Label, Outcome, ReasonCode, Split, Verdict


def test_the_code_expects_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "db" / "migrations"))

    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


def test_the_migrations_and_the_table_classes_say_the_same(engine: Engine, sqlite_only: None) -> None:
    declared = create_engine("sqlite://")
    columns.Base.metadata.create_all(declared)

    assert describe(engine) == describe(declared)
    declared.dispose()


def describe(engine: Engine) -> dict[str, object]:
    found = inspect(engine)
    return {
        table: {
            "columns": {c["name"]: (str(c["type"]), c["nullable"]) for c in found.get_columns(table)},
            "key": found.get_pk_constraint(table)["constrained_columns"],
            "checks": {c["name"]: " ".join(c["sqltext"].split()) for c in found.get_check_constraints(table)},
            "unique": {c["name"]: c["column_names"] for c in found.get_unique_constraints(table)},
            # By their columns: SQLite gives a reference no name that came with ALTER TABLE.
            "references": {tuple(f["constrained_columns"]): f["referred_table"] for f in found.get_foreign_keys(table)},
            "indexes": {
                i["name"]: (i["column_names"], i["unique"], str(i.get("dialect_options", {}).get("sqlite_where")))
                for i in found.get_indexes(table)
            },
        }
        for table in found.get_table_names()
        if table != "alembic_version"
    }


def test_the_view_has_the_columns_that_the_code_reads(engine: Engine) -> None:
    found = {column["name"] for column in inspect(engine).get_columns("current_results")}

    assert found == {column.name for column in views.current_results.columns}


COLUMNS_OF_WORDS = [
    ("xrays", "file_format", FileFormat),
    ("xrays", "scale_rule", ScaleRule),
    ("incoming_files", "state", FileState),
    ("incoming_files", "reason_code", ReasonCode),
    ("models", "stage", Stage),
    ("models", "audit_verdict", AuditVerdict),
    ("results", "outcome", Outcome),
    ("labels", "label", Label),
    ("split_members", "split", Split),
    ("training_runs", "state", TrainingState),
    ("training_runs", "verdict", Verdict),
]


@pytest.mark.parametrize(("table", "column", "words"), COLUMNS_OF_WORDS)
def test_a_state_column_takes_the_words_of_its_enum_and_no_other(
    engine: Engine, table: str, column: str, words: type[StrEnum]
) -> None:
    checks = [check["sqltext"] for check in inspect(engine).get_check_constraints(table)]
    own = next(check for check in checks if f"{column} " in check.replace("::", " ::") and words_in(check, words))

    assert own.count("'") == 2 * len(words)


def words_in(check: str, words: type[StrEnum]) -> bool:
    return all(f"'{word.value}'" in check for word in words)


BAD_CHANGES = [
    "UPDATE incoming_files SET state = 'lost'",
    "UPDATE incoming_files SET state = 'scored', xray_id = NULL",
    "UPDATE incoming_files SET state = 'rejected', reason_code = NULL",
    "UPDATE incoming_files SET state = 'rejected', reason_code = 'BECAUSE'",
    "UPDATE incoming_files SET state = 'deferred', reason_code = 'EMPTY', retry_at = NULL",
    "UPDATE incoming_files SET claimed_by = 'a', claimed_until = NULL",
    "UPDATE incoming_files SET xray_id = 999",
    "UPDATE xrays SET sha256 = 'short'",
    "UPDATE models SET stage = 'latest'",
    "UPDATE models SET stage = 'champion'",  # two of them
    "INSERT INTO split_members VALUES ('p', 'holdout', '2026-01-01')",
    "INSERT INTO incoming_files (name, size, mtime_ns, ctime_ns, signature, state, first_seen_at, tries, folder_id) "
    "VALUES ('a.png', 1, 1, 1, 1, 'new', '2026-01-01', 0, 1)",  # a second current version
]


@pytest.mark.parametrize("change", BAD_CHANGES)
def test_the_database_refuses_a_state_that_cannot_be(engine: Engine, change: str) -> None:
    model = add_champion(engine)
    add_second_model(engine)
    score_files(engine, model, {"a.png": "A"})

    with pytest.raises(IntegrityError), transaction(engine) as session:
        session.execute(text(change))


@pytest.mark.parametrize("probability", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_probability_is_a_number_from_0_to_1(engine: Engine, probability: float) -> None:
    model = add_champion(engine)
    score_files(engine, model, {"a.png": "A"})
    add_second_model(engine)

    with pytest.raises(IntegrityError), transaction(engine) as session:
        session.execute(
            text(
                "INSERT INTO results (xray_id, model_id, preprocessing_version, probability, outcome, scored_at, "
                "duration_ms, shadow) VALUES (1, 2, 'v1', :p, 'positive', :now, 1, :no)"
            ).bindparams(p=probability, now=NOW.isoformat() if engine.dialect.name == "sqlite" else NOW, no=False)
        )


def add_second_model(engine: Engine) -> None:
    with transaction(engine) as session:
        add_model(session, "m2")


CHANGES_OF_HISTORY = [
    "UPDATE results SET probability = 0.1",
    "DELETE FROM results",
    "UPDATE labels SET label = 'normal'",
    "DELETE FROM labels",
    "UPDATE audit_log SET actor = 'nobody'",
    "DELETE FROM audit_log",
    "UPDATE split_members SET split = 'train'",
    "DELETE FROM split_members",
    "UPDATE folders SET place = '/elsewhere'",
    "DELETE FROM folders",
    "UPDATE site_keys SET fingerprint = 'f'",
    "DELETE FROM site_keys",
    "UPDATE patient_facts SET patient = 'p2'",
    "DELETE FROM patient_facts",
    "UPDATE models SET keras_sha256 = onnx_sha256",
    "DELETE FROM models",
]
REPLACEMENTS = [
    "INSERT OR REPLACE INTO results SELECT id, xray_id, model_id, preprocessing_version, 0.1, outcome, refer_reason, "
    "distance, scored_at, flow_run_id, duration_ms, shadow, study, image FROM results",
    "INSERT OR REPLACE INTO labels (id, xray_id, label, source, import_sha256, imported_at) "
    "SELECT id, xray_id, 'normal', source, import_sha256, imported_at FROM labels",
    "INSERT OR REPLACE INTO audit_log SELECT position, at, 'nobody', action, subject, detail, previous_sha256, "
    "sha256 FROM audit_log",
    "INSERT OR REPLACE INTO split_members SELECT split_group, 'train', assigned_at FROM split_members",
]


@pytest.fixture
def with_history(engine: Engine) -> Engine:
    model = add_champion(engine)
    score_files(engine, model, {"a.png": "A"})
    import_labels(engine, label_row("a.png"))
    with transaction(engine) as session:
        xrays.freeze_splits(session, {"p": Split.TEST}, now=NOW)
        site_key.record_fingerprint(session, "f" * 64, now=NOW)
        with adding(session, tables.PatientFactRow):
            session.add(
                tables.PatientFactRow(
                    sha256="a" * 64, patient="p", source="csv", import_sha256="0" * 64, recorded_at=NOW
                )
            )
    return engine


@pytest.mark.parametrize("change", CHANGES_OF_HISTORY)
def test_history_cannot_be_changed_through_sql(with_history: Engine, change: str) -> None:
    refused = pytest.raises(DBAPIError, match=r"append-only|refuses|immutable|never deleted")

    with refused, transaction(with_history) as session:
        session.execute(text(change))

    with snapshot(with_history) as session:
        assert list(invariants.find_breaches(session)) == []


@pytest.mark.parametrize("change", REPLACEMENTS)
def test_history_cannot_be_replaced(with_history: Engine, sqlite_only: None, change: str) -> None:
    with pytest.raises(IntegrityError, match=r"append-only|at its end"), transaction(with_history) as session:
        session.execute(text(change))


def test_a_table_of_history_cannot_be_emptied_at_once(with_history: Engine) -> None:
    if with_history.dialect.name == "sqlite":
        pytest.skip("SQLite has no TRUNCATE")

    with pytest.raises(DBAPIError, match="refuses"), transaction(with_history) as session:
        session.execute(text("TRUNCATE audit_log"))


def test_a_time_without_a_zone_is_refused(engine: Engine) -> None:
    naive = NOW.replace(tzinfo=None)

    with pytest.raises(StatementError, match="without a zone"), transaction(engine) as session:
        xrays.freeze_splits(session, {"p": Split.TEST}, now=naive)


def test_times_come_back_in_utc(with_history: Engine) -> None:
    with snapshot(with_history) as session:
        stored = session.get_one(tables.SplitMemberRow, "p").assigned_at

    assert stored == NOW
    assert stored.utcoffset() == timedelta(0)
