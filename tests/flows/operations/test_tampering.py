"""History that somebody rewrote in the database file: `xray verify` names it, whatever was changed.

The attacker here can write the database and the home's other files, and has taken the triggers away and put them
back; the key is not known. What the key's owner can do stands in docs/history.md.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Table
from sqlalchemy.orm import Session

from db.audit import Anchor, with_anchor
from db.columns import Base
from db.engine import open_engine, snapshot, transaction, writing
from db.registry import evaluations, models, training_runs
from db.scoring import xrays
from db.sealing import find_broken_seals
from flows.home.ledger import find_anchor
from flows.home.site_key import read_site_key
from flows.operations.verification import find_breach
from flows.reading.lists import make_list
from flows.reading.readers import add_reader
from flows.review.exports import write_export
from flows.review.given_verdicts import import_verdicts, name_list
from flows.review.label_import import import_labels_from
from flows.review.patient_import import import_patients
from flows.settings import Settings
from tests.flows.scoring.test_scan import drop_xrays, scan
from xray_core.errors import LedgerAltered, PersonNeeded
from xray_core.records import AuditVerdict, Split, Verdict

NOW = datetime(2026, 5, 1, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def history(shared_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with something in every table: scored films, one refused, labels, a split, a training, an export."""
    settings = shared_settings
    if settings.database_url is not None:
        pytest.skip("about the SQLite file of a home")
    drop_xrays(settings.incoming_dir, 6)
    (settings.incoming_dir / "broken.png").write_bytes(b"\x89PNG no picture")
    scan(settings)
    rows = (f"xray-0-00{number}.png,{'covid' if number % 2 else 'normal'}" for number in range(6))
    labels = tmp_path_factory.mktemp("labels") / "labels.csv"
    labels.write_text("\n".join(("filename,label", *rows)) + "\n")
    import_labels_from(settings, labels, mapping={})
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with transaction(engine) as session:
        write_registry(session)
    engine.dispose()
    drop_xrays(settings.incoming_dir, 2, seed=9)
    scan(settings)
    write_export(settings)
    assert find_breach(settings)[0] is None
    return settings


def write_registry(session: Session) -> None:
    (model,) = models.list_models(session)
    evaluations.add_evaluation(
        session,
        model_id=model.model_id,
        set_name="some set",
        label_set_sha256="0" * 64,
        figures={"auroc": 0.6},
        now=NOW,
    )
    xrays.freeze_splits(session, {"p1": Split.TRAIN, "p2": Split.TEST, "p3": Split.TEST}, now=NOW)
    models.record_audit(
        session, model.version, proven=False, audit_verdict=AuditVerdict.CONFOUNDED, actor="test", now=NOW
    )
    run = training_runs.claim_training(
        session,
        "1" * 64,
        watermark=6,
        scanner="s",
        now=NOW,
        lease_seconds=60,
        is_alive=lambda _: True,
        trigger="test",
        policy_sha256=None,
    )
    assert run is not None
    training_runs.finish_training(
        session, run, scanner="s", candidate_model_id=None, verdict=Verdict.REJECT, reason="worse", now=NOW
    )


@pytest.fixture
def full(history: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A copy of that home for one test."""
    shutil.copytree(history.home, tmp_path / "home")
    monkeypatch.chdir(tmp_path)
    return Settings(home=tmp_path / "home", settle_seconds=0)


def database_of(settings: Settings) -> Path:
    return settings.home / "xray.db"


def tamper(settings: Settings, *statements: str) -> None:
    """Run statements without the triggers, and put the triggers back."""
    with closing(sqlite3.connect(database_of(settings))) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.executescript(statement)
        for _, sql in triggers:
            connection.execute(sql)
        connection.commit()


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE labels SET label = CASE label WHEN 'covid' THEN 'normal' ELSE 'covid' END", "labels 1 to 6: changed"),
        ("UPDATE split_members SET split = 'train' WHERE split = 'test'", "split_members: changed"),
        ("UPDATE evaluations SET figures = replace(figures, '0.6', '0.99')", "evaluations 1 to 1: changed"),
        ("UPDATE models SET proven = 1, audit_verdict = 'clean'", "models 1 to 1: changed"),
        ("UPDATE champion_terms SET reason = 'it is the best'", "champion_terms 1 to 1: changed"),
        ("UPDATE training_runs SET verdict = 'promote', reason = 'better'", "training_runs 1 to 1: changed"),
        ("DELETE FROM incoming_files WHERE id % 2 = 0", "incoming_files 1 to 9: changed"),
        ("UPDATE results SET probability = 1 - probability", "results 1 to 8: changed"),
        # Siblings.
        ("UPDATE xrays SET patient = 'x' WHERE id = 2", "xrays 1 to 8: changed"),
        (
            "UPDATE incoming_files SET xray_id = CASE xray_id WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE xray_id END",
            "incoming_files 1 to 9: changed",
        ),
        ("UPDATE incoming_files SET superseded_at = decided_at WHERE id = 1", "incoming_files 1 to 9: changed"),
        ("UPDATE incoming_files SET signature = signature + 1 WHERE id = 1", "incoming_files 1 to 9: changed"),
        ("UPDATE scans SET rejected = 0, problem = NULL", "scans 1 to 2: changed"),
        ("DELETE FROM scans WHERE id = 1", "scans 1 to 2: changed"),
        ("UPDATE site_keys SET fingerprint = printf('%064d', 7)", "site.key"),
        ("UPDATE folders SET place = '/elsewhere' WHERE id = 1", "folders 1 to 1: changed"),
        ("INSERT INTO split_members VALUES ('p9', 'train', '2026-05-01 09:30:00.000000')", "split_members: changed"),
        (
            "INSERT INTO labels (id, xray_id, label, reader, labelled_at, source, import_sha256, imported_at, role) "
            "SELECT 7, xray_id, 'normal', reader, labelled_at, source, import_sha256, imported_at, role "
            "FROM labels WHERE id = 2",
            "labels 1 to 7: changed since they were written (7 rows are there, 6 were sealed)",
        ),
        (
            "UPDATE labels SET id = -id; UPDATE labels SET id = 7 + id",
            "labels 1 to 6: changed since they were written (6 rows are there, 6 were sealed)",
        ),
        ("UPDATE results SET duration_ms = duration_ms + 1 WHERE id = 8", "results 1 to 8: changed"),
        ("UPDATE models SET stage = 'candidate'; DELETE FROM champion_terms", "models 1 to 1: changed"),
        ("UPDATE audit_log SET actor = 'x' WHERE position = 3", "audit log, position 3"),
        ("DELETE FROM audit_log WHERE position = 2", "audit log, position 2"),
    ],
)
def test_a_row_that_was_rewritten_is_named(full: Settings, statement: str, sentence: str) -> None:
    tamper(full, statement)

    assert sentence in breach_of(full)


def breach_of(settings: Settings) -> str:
    """What `xray verify` says: a breach, or that it cannot go on without a person."""
    try:
        return find_breach(settings)[0] or "ok"
    except PersonNeeded as stop:
        return str(stop)


def test_the_end_of_the_log_cut_off_with_the_results_is_named(full: Settings) -> None:
    (full.home / "ledger.head").unlink()  # the export's manifest alone still knows

    tamper(
        full,
        "DELETE FROM audit_log WHERE position > 1",
        "DELETE FROM results; DELETE FROM labels; DELETE FROM incoming_files; DELETE FROM scans",
    )

    assert breach_of(full) != "ok"


def test_an_older_database_that_was_put_in_place_is_named_and_not_written_on(full: Settings, tmp_path: Path) -> None:
    with closing(sqlite3.connect(database_of(full))) as source, closing(sqlite3.connect(tmp_path / "old.db")) as copy:
        source.backup(copy)
    drop_xrays(full.incoming_dir, 2, seed=11)
    scan(full)
    for file in full.home.glob("xray.db*"):
        file.unlink()
    shutil.copy(tmp_path / "old.db", database_of(full))

    assert "is an older copy, or its end was cut off" in breach_of(full).replace("it is an", "is an")
    drop_xrays(full.incoming_dir, 1, seed=12)
    with pytest.raises(LedgerAltered, match="older copy"):
        scan(full)


def test_an_older_database_is_named_by_the_exports_too(full: Settings, tmp_path: Path) -> None:
    with closing(sqlite3.connect(database_of(full))) as source, closing(sqlite3.connect(tmp_path / "old.db")) as copy:
        source.backup(copy)
    drop_xrays(full.incoming_dir, 2, seed=11)
    scan(full)
    write_export(full, out=full.exports_dir / "later.csv")
    for file in full.home.glob("xray.db*"):
        file.unlink()
    shutil.copy(tmp_path / "old.db", database_of(full))
    (full.home / "ledger.head").unlink()

    assert "export later.csv: the audit log had the entry" in breach_of(full)


def test_an_emptied_database_is_no_new_home(full: Settings) -> None:
    from flows.home.ledger import prepare_ledger

    for file in full.home.glob("xray.db*"):
        file.unlink()
    database_of(full).touch()

    with pytest.raises(LedgerAltered, match="the database is empty, and this home has written"):
        prepare_ledger(full)


@pytest.mark.parametrize("statement", ["DROP TRIGGER {0}", "DROP TRIGGER {0}; {1}"], ids=["gone", "hollow"])
def test_triggers_that_are_gone_or_hollow_are_named(full: Settings, statement: str) -> None:
    with closing(sqlite3.connect(database_of(full))) as connection:
        triggers = connection.execute("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        assert len(triggers) > 13
        for name, table in triggers:
            hollow = f"CREATE TRIGGER {name} BEFORE DELETE ON {table} BEGIN SELECT 1; END"
            connection.executescript(statement.format(name, hollow))

    assert "database: the trigger audit_log_grows_at_its_end" in breach_of(full)


def test_thresholds_rewritten_with_the_models_row_are_named(full: Settings) -> None:
    (folder,) = (path for path in full.models_dir.iterdir() if path.is_dir())
    manifest = folder / "model.json"
    described = json.loads(manifest.read_bytes())
    described["operating_point"] |= {"lower": 0.01, "upper": 0.02}
    manifest.chmod(0o600)
    manifest.write_text(json.dumps(described))
    sha256 = hashlib.sha256(manifest.read_bytes()).hexdigest()

    tamper(full, f"UPDATE models SET manifest_sha256 = '{sha256}'")  # noqa: S608

    assert "models 1 to 1: changed" in breach_of(full)


def test_a_chain_computed_anew_without_the_key_is_named(full: Settings) -> None:
    tamper(full, "UPDATE results SET probability = 1 - probability")
    with closing(sqlite3.connect(database_of(full))) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        rows = connection.execute(
            "SELECT position, at, actor, action, subject, detail FROM audit_log ORDER BY position"
        ).fetchall()
        connection.execute("UPDATE audit_log SET previous_sha256 = 'x' || previous_sha256")  # they are unique
        previous = "0" * 64
        for position, at, *words in rows:
            time = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).isoformat(timespec="microseconds")
            parts = json.dumps([position, time, *words, previous], separators=(",", ":"))
            digest = hashlib.sha256(parts.encode()).hexdigest()
            connection.execute(
                "UPDATE audit_log SET previous_sha256 = ? WHERE position = ?", (f"x{position}", position)
            )
            connection.execute(
                "UPDATE audit_log SET previous_sha256 = ?, sha256 = ? WHERE position = ?", (previous, digest, position)
            )
            previous = digest
        for _, sql in triggers:
            connection.execute(sql)
        connection.commit()
    (full.home / "ledger.head").unlink()

    assert "audit log, position 1: missing, altered or wrongly chained" in breach_of(full)


def test_another_key_seals_nothing_that_verifies(full: Settings) -> None:
    engine = with_anchor(open_engine(full.url), Anchor(bytes(32)))
    with transaction(engine) as session:
        xrays.freeze_splits(session, {"p7": Split.TEST}, now=NOW)
    engine.dispose()

    assert "missing, altered or wrongly chained" in breach_of(full)


def test_what_was_altered_stays_found_when_the_row_is_written_again(full: Settings) -> None:
    """The transaction that changes a row takes out of the seal what it finds, not what was sealed."""
    tamper(full, "UPDATE models SET proven = 1")
    engine = open_engine(full.url, anchor=find_anchor(full))
    with transaction(engine) as session:
        (model,) = models.list_models(session)
        models.record_audit(session, model.version, proven=False, audit_verdict=None, actor="test", now=NOW)
    engine.dispose()

    assert "models 1 to 1: changed" in breach_of(full)


def test_whatever_column_of_whatever_sealed_row_is_rewritten_it_is_named(full: Settings, tmp_path: Path) -> None:
    """Every table that is sealed and every column of it: a row altered or taken out."""
    fill_reading_and_patients(full, tmp_path)
    tables = [table for table in Base.metadata.sorted_tables if "seal" in table.info]
    engine = open_engine(full.url, anchor=find_anchor(full))
    unnoticed: list[str] = []
    with Session(writing(engine)) as session:
        connection = session.connection()
        connection.exec_driver_sql("PRAGMA ignore_check_constraints=ON")
        connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        for (name,) in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type='trigger'").all():
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        assert next(find_broken_seals(session), None) is None
        for table in tables:
            for what, statement in list_alterations(table):
                connection.exec_driver_sql("SAVEPOINT before")
                assert connection.exec_driver_sql(statement).rowcount == 1, f"nothing to alter: {statement}"
                if next(find_broken_seals(session), None) is None:
                    unnoticed.append(what)
                connection.exec_driver_sql("ROLLBACK TO before")
        session.rollback()
    engine.dispose()

    assert len(tables) >= 15
    assert unnoticed == []


def list_alterations(table: Table) -> Iterator[tuple[str, str]]:
    """Statements that each rewrite one column of one sealed row, and one that takes it out."""
    rule, key = table.info["seal"], next(iter(table.c)).name
    sealed = f"{key} = (SELECT {key} FROM {table.name} WHERE {rule.only or 'TRUE'} LIMIT 1)"  # noqa: S608
    yield f"{table.name}: gone", f"DELETE FROM {table.name} WHERE {sealed}"  # noqa: S608
    for column in table.c:
        if column.name not in rule.besides:
            longer = f"{column.name} || '1'"
            # A digit more behind a float's may be the same float: SQLite writes only fifteen of them.
            kinds = f"WHEN 'null' THEN 1 WHEN 'real' THEN {column.name} + 1 WHEN 'blob' THEN CAST({longer} AS BLOB)"
            other = f"CASE typeof({column.name}) {kinds} ELSE {longer} END"
            yield (
                f"{table.name}.{column.name}",
                f"UPDATE OR REPLACE {table.name} SET {column.name} = {other} WHERE {sealed}",  # noqa: S608
            )


def fill_reading_and_patients(settings: Settings, folder: Path) -> None:
    """Rows in the tables that the home's history leaves empty: patients by CSV, a reader, a list, an opinion."""
    (folder / "patients.csv").write_text("filename,patient_id\nxray-0-001.png,P1\n")
    import_patients(settings, folder / "patients.csv")
    add_reader(settings, "anna")
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    number = make_list(settings, engine, "anna", size=5, reveal_share=0)
    head = "list,position,label,sure,exclude_reason,flagged_note,shown_at,seconds,prior_used,request_id"
    assert number is not None
    with snapshot(engine) as session:
        name = name_list(session, read_site_key(settings), number)
    said = f"{name},1,covid,true,,,2026-05-01T09:00:00Z,3.5,false,{'a' * 32}"
    (folder / "opinions.csv").write_text(f"{head}\r\n{said}\r\n")
    import_verdicts(settings, engine, folder / "opinions.csv")
    engine.dispose()
