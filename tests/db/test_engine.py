from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import DBAPIError

from db.engine import check_schema, has_wal_reset_fix, open_engine, show_url, snapshot, transaction
from db.schema import HEAD
from tests.db.rows import ANCHOR, ROOT, add_champion, add_model, promote, score_files
from xray_core.errors import RefusedInput, SchemaOutOfDate

pytestmark = pytest.mark.processes


def test_a_new_sqlite_file_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        open_engine(f"sqlite:///{tmp_path / 'new.db'}").dispose()
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "new.db").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///relative.db",
        "sqlite:////nosuch/folder/x.db",
        "sqlite:////tmp",
        "sqlite:////dev/null",
        "sqlite:////tmp/x.db?timeout=x",
        "sqlite:////tmp/x.db?uri=true",
        "sqlite+nonsense:////tmp/x.db",
        "sqlite+aiosqlite:////tmp/x.db",
        "postgresql+asyncpg://u:secret@h/d",
        "postgresql+nonsense://u:secret@h/d",
        "postgresql://u:secret@h:port/d",
        "postgres://u:secret@h/d",
        "mysql://u:secret@h/d",
        "mysql://u@h/d?password=secret",
        "http://example",
        "file:/tmp/x.db",
        "/tmp/x.db",
        "not a url",
        " ",
    ],
)
def test_any_other_database_is_refused_without_showing_its_password(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(RefusedInput, match=r"XRAY_DATABASE_URL.* expected sqlite:////ABSOLUTE/FILE or ") as refusal:
        open_engine(url, anchor=ANCHOR)

    assert "secret" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_every_connection_is_set_up_for_safety(engine: Engine, sqlite_only: None) -> None:
    with snapshot(engine) as session:
        found = {
            name: session.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("synchronous", "foreign_keys", "recursive_triggers", "busy_timeout", "journal_mode")
        }

    safe_wal = has_wal_reset_fix(sqlite3.sqlite_version_info)
    assert found == {
        "synchronous": 2,
        "foreign_keys": 1,
        "recursive_triggers": 1,
        "busy_timeout": 30_000,
        "journal_mode": "wal" if safe_wal else "delete",
    }


@pytest.mark.parametrize(
    ("version", "fixed"),
    [
        ((3, 40, 1), False), ((3, 44, 5), False), ((3, 44, 6), True), ((3, 45, 0), False), ((3, 50, 6), False),
        ((3, 50, 7), True), ((3, 51, 0), False), ((3, 51, 2), False), ((3, 51, 3), True), ((3, 52, 0), True),
    ],
)  # fmt: skip
def test_the_write_ahead_log_is_used_only_where_it_cannot_lose_rows(version: tuple[int, int, int], fixed: bool) -> None:
    assert has_wal_reset_fix(version) is fixed


def test_a_transaction_that_raises_leaves_nothing(engine: Engine) -> None:
    def add_one_and_fail() -> None:
        with transaction(engine) as session:
            add_model(session, "m1")
            promote(session, "m2")

    with pytest.raises(RefusedInput, match="no such model"):
        add_one_and_fail()

    with snapshot(engine) as session:
        assert session.execute(text("SELECT count(*) FROM models")).scalar() == 0


def test_a_snapshot_cannot_write(engine: Engine) -> None:
    with pytest.raises(DBAPIError, match=r"readonly|read-only"), snapshot(engine) as session:
        add_model(session, "m1")


def test_a_snapshot_sees_one_moment_while_others_write(engine: Engine) -> None:
    model = add_champion(engine)
    score_files(engine, model, {"a.png": "A"})
    written = threading.Event()

    def write() -> None:
        score_files(engine, model, {"b.png": "B"})
        written.set()

    writer = threading.Thread(target=write)
    with snapshot(engine) as session:
        first = session.execute(text("SELECT count(*) FROM results")).scalar()
        writer.start()
        written.wait(0.3)  # on SQLite's rollback journal the writer waits for us, elsewhere it is done
        second = session.execute(text("SELECT count(*) FROM results")).scalar()
    writer.join()
    with snapshot(engine) as session:
        third = session.execute(text("SELECT count(*) FROM results")).scalar()

    assert (first, second, third) == (1, 1, 2)


def test_a_writer_waits_for_the_one_before(engine: Engine) -> None:
    order: list[str] = []

    def write() -> None:
        with transaction(engine) as session:
            order.append("second")
            add_model(session, "m2")

    waiting = threading.Thread(target=write)
    with transaction(engine) as session:
        add_model(session, "m1")
        waiting.start()
        time.sleep(0.3)
        order.append("first")
    waiting.join()

    assert order == ["first", "second"]


def test_a_migrated_database_is_in_date(engine: Engine) -> None:
    check_schema(engine)


def test_a_database_without_tables_is_refused_by_name(empty_url: str) -> None:
    engine = open_engine(empty_url, anchor=ANCHOR)

    with pytest.raises(SchemaOutOfDate, match=rf"revision none .*needs {HEAD}: .*`xray doctor --migrate`"):
        check_schema(engine)
    engine.dispose()


def test_a_password_among_the_options_is_not_shown_either() -> None:
    assert show_url(make_url("postgresql://u:secret@h/d?password=secret&sslmode=require")) == "postgresql://u:***@h/d"


def test_a_database_of_another_version_is_refused_naming_both_revisions(engine: Engine) -> None:
    with transaction(engine) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0000'"))

    with pytest.raises(SchemaOutOfDate, match=rf"revision 0000; .*needs {HEAD}"):
        check_schema(engine)


def test_opening_the_database_imports_nothing_heavy() -> None:
    program = (
        "import sys; from db import audit, backup, engine, invariants; from db.registry import evaluations, models; "
        "from db.registry import training_runs; from db.scoring import claims, decisions, folders, labels, results; "
        "from db.scoring import scans, site_key, xrays; "
        "print([m for m in ('numpy', 'pandas', 'alembic', 'keras', 'tensorflow', 'prefect', 'PIL', 'psycopg') "
        "if m in sys.modules])"
    )

    out = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True).stdout

    assert out.strip() == "[]"
