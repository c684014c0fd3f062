from __future__ import annotations

import pytest
from sqlalchemy import Engine

from db import invariants
from db.engine import snapshot, transaction
from db.scoring import claims, folders
from tests.db.rows import NOW, add_champion, file_seen, score_files, sha256_of, signed
from tests.db.test_audit import tamper
from xray_core.records import FolderKind


def breaches(engine: Engine) -> list[str]:
    with snapshot(engine) as session:
        return list(invariants.find_breaches(session))


@pytest.fixture
def scored(engine: Engine) -> Engine:
    score_files(engine, add_champion(engine), {"a.png": "A", "b.png": "B"})
    return engine


def test_a_sound_database_has_no_breach(scored: Engine) -> None:
    assert breaches(scored) == []


def test_two_folders_of_one_ledger_may_hold_files_of_one_name(scored: Engine) -> None:
    with transaction(scored) as session:
        elsewhere = folders.add_folder(session, FolderKind.INCOMING, "/elsewhere", now=NOW)
        claims.claim_files(
            session,
            [signed(file_seen("a.png", size=200))],
            folder_id=elsewhere,
            scanner="b",
            now=NOW,
            lease_seconds=60,
            is_alive=lambda _: True,
        )

    assert breaches(scored) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("UPDATE incoming_files SET xray_id = 99 WHERE id = 1", "incoming_files row 1: refers to a row of xrays"),
        ("DELETE FROM results WHERE id = 1", "file row 1: is scored, and its X-ray has no result"),
        ("UPDATE models SET stage = 'retired'", "model m1: its stage and the history of champions disagree"),
        ("UPDATE results SET model_id = 99 WHERE id = 1", "result 1: no probability between 0 and 1, or of a model"),
        ("UPDATE audit_log SET actor = 'x' WHERE position = 2", "audit log, position 2: missing, altered"),
        ("UPDATE results SET probability = 0.4 WHERE id = 2", "results 1 to 2: changed since they were written"),
    ],
)
def test_a_breach_is_named_in_a_sentence(scored: Engine, sqlite_only: None, change: str, sentence: str) -> None:
    tamper(scored, change)

    found = breaches(scored)

    assert any(breach.startswith(sentence) for breach in found), found


def test_a_damaged_page_is_found(scored: Engine, sqlite_only: None) -> None:
    scored.dispose()
    path = str(scored.url.database)
    with open(path, "r+b") as file:  # noqa: PTH123
        content = file.read()
        file.seek(content.index(bytes.fromhex(sha256_of("A"))))  # in the table; its index still says the old one
        file.write(b"0" * 8)

    assert any(breach.startswith("database file:") for breach in breaches(scored))
