from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from db import audit
from db.engine import snapshot, transaction
from tests.db.rows import NOW


def append(engine: Engine, *subjects: str) -> None:
    for subject in subjects:
        with transaction(engine) as session:
            audit.append(session, actor="me", action="tested", subject=subject, detail={"b": 1, "a": "ü"}, now=NOW)


def first_bad(engine: Engine) -> int | None:
    with snapshot(engine) as session:
        return audit.verify_chain(session)


def tamper(engine: Engine, *statements: str) -> None:
    """Change the file as somebody would who takes the triggers away first."""
    engine.dispose()
    connection = sqlite3.connect(str(engine.url.database))
    triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (name,) in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_entries_are_chained_and_read_back_in_order(engine: Engine) -> None:
    append(engine, "one", "two", "three")

    with snapshot(engine) as session:
        entries = session.scalars(select(audit.AuditRow).order_by(audit.AuditRow.position)).all()
        head = audit.head(session)

    assert [entry.position for entry in entries] == [1, 2, 3]
    assert json.loads(entries[0].detail) == {"a": "ü", "b": 1}
    assert entries[0].at == NOW
    assert head == (3, entries[2].sha256)
    assert first_bad(engine) is None


def test_an_empty_log_holds(engine: Engine) -> None:
    with snapshot(engine) as session:
        assert audit.head(session) == (0, "0" * 64)
    assert first_bad(engine) is None


@pytest.mark.parametrize("column", ["at", "actor", "action", "subject", "detail", "previous_sha256", "sha256"])
def test_an_edited_entry_is_found(engine: Engine, sqlite_only: None, column: str) -> None:
    append(engine, "one", "two", "three", "four")

    value = "'2020-01-01 00:00:00.000000'" if column == "at" else f"'{'e' * 64}'"
    tamper(engine, f"UPDATE audit_log SET {column} = {value} WHERE position = 3")  # noqa: S608

    assert first_bad(engine) == 3


def test_a_removed_entry_is_found(engine: Engine, sqlite_only: None) -> None:
    append(engine, "one", "two", "three", "four")

    tamper(engine, "DELETE FROM audit_log WHERE position = 2")

    assert first_bad(engine) == 2


def test_a_replaced_entry_is_found(engine: Engine, sqlite_only: None) -> None:
    append(engine, "one", "two", "three")

    tamper(
        engine,
        "INSERT OR REPLACE INTO audit_log SELECT position, at, 'nobody', action, subject, detail, previous_sha256, "
        "sha256 FROM audit_log WHERE position = 2",
    )

    assert first_bad(engine) == 2


def test_a_plain_sqlite_client_cannot_replace_an_entry(engine: Engine, sqlite_only: None) -> None:
    append(engine, "one", "two")
    engine.dispose()
    path = Path(str(engine.url.database))
    client = sqlite3.connect(path)  # with recursive_triggers off, as every client comes

    with pytest.raises(sqlite3.IntegrityError, match="grows at its end only"):
        client.execute("INSERT OR REPLACE INTO audit_log SELECT * FROM audit_log WHERE position = 1")
    client.close()


def test_a_cut_off_end_shows_against_a_head_that_was_written_down(engine: Engine, sqlite_only: None) -> None:
    append(engine, "one", "two", "three")
    with snapshot(engine) as session:
        written_down = audit.head(session)

    tamper(engine, "DELETE FROM audit_log WHERE position = 3")

    with snapshot(engine) as session:
        assert audit.head(session) != written_down
