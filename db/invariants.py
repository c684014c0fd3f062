"""What must hold in the database whatever happened: the half of `xray verify` that needs no file."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import text
from sqlalchemy.orm import Session

from db import audit, sealing
from db.registry.recorded import find_unrecorded

# Each finds at most one row whose first column names the breach. Constraints forbid most of this: the oracle
# asks all the same, for it must also see a database that was edited, restored or damaged.
_NOTHING_FOUND = {
    "file {}: more than one current version": (
        "SELECT name FROM incoming_files WHERE superseded_at IS NULL "
        "GROUP BY folder_id, name HAVING count(*) > 1 LIMIT 1"
    ),
    "file row {}: its state has not what the state needs": (
        "SELECT id FROM incoming_files WHERE state NOT IN ('new', 'deferred', 'scored', 'rejected') "
        "OR (state = 'scored' AND xray_id IS NULL) "
        "OR (state IN ('deferred', 'rejected') AND reason_code IS NULL) LIMIT 1"
    ),
    "file row {}: is scored, and its X-ray has no result": (
        "SELECT f.id FROM incoming_files f WHERE f.state = 'scored' AND NOT EXISTS "
        "(SELECT 1 FROM results r WHERE r.xray_id = f.xray_id AND NOT r.shadow) LIMIT 1"
    ),
    "X-ray {}: two results of one model and preprocessing": (
        "SELECT xray_id FROM results GROUP BY xray_id, model_id, preprocessing_version HAVING count(*) > 1 LIMIT 1"
    ),
    "result {}: no probability between 0 and 1, or of a model or X-ray that is not there": (
        "SELECT r.id FROM results r LEFT JOIN models m ON m.id = r.model_id LEFT JOIN xrays x ON x.id = r.xray_id "
        "WHERE m.id IS NULL OR x.id IS NULL OR r.probability IS NULL "
        "OR NOT (r.probability >= 0 AND r.probability <= 1) LIMIT 1"
    ),
    "there are {} champions": "SELECT count(*) FROM models WHERE stage = 'champion' HAVING count(*) > 1",
    "model {}: its stage and the history of champions disagree": (
        "SELECT m.version FROM models m WHERE (m.stage = 'champion') <> EXISTS "
        "(SELECT 1 FROM champion_terms t WHERE t.model_id = m.id AND t.until IS NULL) LIMIT 1"
    ),
}


def find_breaches(session: Session) -> Iterator[str]:
    """Every invariant of the database that does not hold, one sentence each; nothing when all is well."""
    yield from find_damage(session)
    for sentence, query in _NOTHING_FOUND.items():
        found = session.execute(text(query)).scalar()
        if found is not None:
            yield sentence.format(found)
    yield from _find_altered_history(session)


def _find_altered_history(session: Session) -> Iterator[str]:
    """The chain first: seals and records are its entries, and prove nothing where it does not hold."""
    if (lost := audit.find_lost_head(session)) is not None:
        yield lost
    if (position := audit.verify_chain(session)) is not None:
        yield f"audit log, position {position}: missing, altered or wrongly chained"
        return
    yield from sealing.find_broken_seals(session)
    yield from find_unrecorded(session)
    yield from audit.find_doubtful_seals(session)


def find_damage(session: Session) -> Iterator[str]:
    """SQLite checks its own pages, indexes and references; PostgreSQL has no such question to ask."""
    if session.get_bind().dialect.name != "sqlite":
        return
    for (sentence,) in session.execute(text("PRAGMA integrity_check(10)")):
        if sentence != "ok":
            yield f"database file: {sentence}"
    for table, row_id, target, _ in session.execute(text("PRAGMA foreign_key_check")):
        yield f"{table} row {row_id}: refers to a row of {target} that is not there"
