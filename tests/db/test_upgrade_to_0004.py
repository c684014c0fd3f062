"""The first seal, of a ledger that an older version wrote: whole whenever it is killed, and it says what it met."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, text

from db.audit import find_doubtful_seals, sealed_since
from db.engine import open_engine, snapshot, writing
from db.migrate import migrate
from db.sealing import find_broken_seals
from tests.db.rows import ANCHOR
from tests.db.upgrades import kill_upgrades, read, upgrade

HOME = {"home": "/h", "incoming": "/h/incoming", "archive": "/archive", "incoming_place": "", "archive_place": ""}
AT = datetime(2026, 1, 1, tzinfo=UTC)
FOLDER = "INSERT INTO folders (id, kind, place, recorded_at) VALUES (1, 'incoming', '', '2026-01-01 00:00:00.000000')"
MODEL = (
    "INSERT INTO models (id, version, architecture, preprocessing_version, stage, created_at, keras_sha256, "
    "onnx_sha256, manifest_sha256, proven) VALUES (1, '0001-old', 'seed_cnn', 'v1', 'champion', "
    "'2026-01-01 00:00:00.000000', :sha, :sha, :sha, false)"
)
XRAY = (
    "INSERT INTO xrays (id, sha256, file_format, width, height, mode, scale_rule, flags, dhash, path, folder_id, "
    "first_seen_at) VALUES (:id, :sha, 'png', 9, 9, 'L', '8bit', '', '0', :path, 1, '2026-01-01 00:00:00.000000')"
)
RESULT = (
    "INSERT INTO results (id, xray_id, model_id, preprocessing_version, probability, outcome, scored_at, "
    "duration_ms, shadow) "
    "VALUES (:id, :id, 1, 'v1', 0.25, 'negative', '2026-01-01 00:00:00.000000', 3.5, false)"
)
ENTRY = (
    "INSERT INTO audit_log (position, at, actor, action, subject, detail, previous_sha256, sha256) "
    "VALUES (:position, '2026-01-01 00:00:00.000000', 'scan', :action, 'results', :detail, :previous, :sha256)"
)
RESULTS = 5
RESULT_ROWS = (
    "SELECT id, xray_id, model_id, preprocessing_version, probability, outcome, refer_reason, distance, scored_at, "
    "flow_run_id, duration_ms, shadow FROM results ORDER BY id"
)


def digest_results() -> str:
    """As older versions summed their results: every value as Python shows it."""
    digest = hashlib.sha256()
    for number in range(1, RESULTS + 1):
        row = (number, number, 1, "v1", 0.25, "negative", None, None, AT, None, False)
        digest.update(repr(tuple(str(value) for value in row)).encode())
    return digest.hexdigest()


def chain(entries: list[tuple[str, str]]) -> Iterator[dict[str, object]]:
    """As older versions chained their audit log: without a key."""
    previous = "0" * 64
    for position, (action, detail) in enumerate(entries, start=1):
        parts = [position, AT.isoformat(timespec="microseconds"), "scan", action, "results", detail, previous]
        sha256 = hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()
        yield {"position": position, "action": action, "detail": detail, "previous": previous, "sha256": sha256}
        previous = sha256


@pytest.fixture
def old(empty_url: str) -> Iterator[Engine]:
    """A ledger of revision 0003 with results, and a log that covers them as its version did."""
    engine = open_engine(empty_url, anchor=ANCHOR)
    upgrade(engine, "0003", HOME)
    sealed = json.dumps({"first": 1, "last": RESULTS, "sha256": digest_results()})
    numbers = [{"id": number, "sha": f"{number:064d}", "path": f"{number}.png"} for number in range(1, RESULTS + 1)]
    with writing(engine).begin() as connection:
        connection.execute(text(FOLDER))
        connection.execute(text(MODEL), {"sha": "a" * 64})
        connection.execute(text(XRAY), numbers)
        connection.execute(text(RESULT), numbers)
        connection.execute(text(ENTRY), list(chain([("model-added", "{}"), ("results-sealed", sealed)])))
    yield engine
    engine.dispose()


def say_since(engine: Engine) -> str | None:
    with snapshot(engine) as session:
        assert sealed_since(session) is not None
        assert list(find_broken_seals(session)) == []
        return next(find_doubtful_seals(session), None)


def test_an_untouched_ledger_is_sealed_without_a_remark(old: Engine) -> None:
    before = read(old, RESULT_ROWS)

    migrate(old)

    assert say_since(old) is None
    at = (
        AT if old.dialect.name == "postgresql" else round(AT.timestamp() * 1e6)
    )  # SQLite's times are numbers since 0010
    assert read(old, RESULT_ROWS) == [(*row[:8], at, *row[9:]) for row in before]


@pytest.mark.parametrize(
    ("change", "remark"),
    [
        ("UPDATE results SET probability = 0.75 WHERE id = 3", "results 1 to 5: changed since they were written"),
        ("DELETE FROM results WHERE id = 5", "results 1 to 5: changed since they were written"),
        ("UPDATE audit_log SET actor = 'me' WHERE position = 1", "audit log, position 1: missing, altered"),
        ("DELETE FROM audit_log WHERE position = 1", "audit log, position 1: missing, altered"),
        ("DELETE FROM audit_log WHERE position = 2", "result 1: not written by the service"),
    ],
)
def test_what_was_altered_before_the_first_seal_stands_in_the_seal(
    old: Engine, sqlite_only: None, change: str, remark: str
) -> None:
    with writing(old).begin() as connection:
        for name in [row[0] for row in read(old, "SELECT name FROM sqlite_master WHERE type = 'trigger'")]:
            connection.execute(text(f'DROP TRIGGER "{name}"'))
        connection.execute(text(change))

    migrate(old)

    assert remark in (say_since(old) or "")


@pytest.mark.processes
def test_a_kill_before_any_of_its_statements_leaves_the_old_ledger(old: Engine, sqlite_only: None) -> None:
    def look() -> object:
        return [read(old, query) for query in ("SELECT * FROM sqlite_master", RESULT_ROWS, "SELECT * FROM audit_log")]

    killed = kill_upgrades(old, "head", look, step=6)

    assert killed >= 10
    assert say_since(old) is None
