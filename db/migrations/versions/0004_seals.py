"""Every row is sealed from here on: the first seal covers what an older version left, as it is found.

No table changes. What older versions wrote down of their own, an audit log chained without a key and digests of the
results in it, is checked here for the last time; whether it held stands in the seal.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy import Connection

revision = "0004"
down_revision = "0003"

_RESULTS = (
    "id, xray_id, model_id, preprocessing_version, probability, outcome, refer_reason, distance, scored_at, "
    "flow_run_id, shadow"
)


def upgrade() -> None:
    """Look at the old history and leave a sentence for the seal where it does not hold."""
    connection = op.get_bind()
    context.config.attributes["broken_history"] = _find_broken_entry(connection) or _find_broken_results(connection)


def _find_broken_entry(connection: Connection) -> str | None:
    expected, previous = 1, "0" * 64
    rows = connection.execute(
        sa.text(
            "SELECT position, at, actor, action, subject, detail, previous_sha256, sha256 FROM audit_log "
            "ORDER BY position"
        ).columns(at=sa.DateTime(timezone=True))
    )
    for position, at, *words, before, sha256 in rows:
        time = _utc(at).isoformat(timespec="microseconds")
        parts = json.dumps([position, time, *words, before], separators=(",", ":")).encode()
        if (position, before, sha256) != (expected, previous, hashlib.sha256(parts).hexdigest()):
            return f"audit log, position {expected}: missing, altered or wrongly chained"
        expected, previous = position + 1, sha256
    return None


def _find_broken_results(connection: Connection) -> str | None:
    covered = 0
    seals = connection.execute(
        sa.text("SELECT detail FROM audit_log WHERE action = 'results-sealed' ORDER BY position")
    ).scalars()
    for detail in map(json.loads, seals.all()):
        if _digest(connection, covered, detail["last"]) != detail["sha256"]:
            return f"results {detail['first']} to {detail['last']}: changed since they were written"
        covered = detail["last"]
    later = connection.execute(
        sa.text("SELECT min(id) FROM results WHERE id > :covered"), {"covered": covered}
    ).scalar()
    return None if later is None else f"result {later}: not written by the service, no seal covers it"


def _digest(connection: Connection, after: int, upto: int) -> str:
    """As older versions did it, from values as SQLAlchemy gave them."""
    rows = connection.execute(
        sa.text(f"SELECT {_RESULTS} FROM results WHERE id > :after AND id <= :upto ORDER BY id").columns(  # noqa: S608
            scored_at=sa.DateTime(timezone=True), shadow=sa.Boolean
        ),
        {"after": after, "upto": upto},
    )
    digest = hashlib.sha256()
    for row in rows:
        values = [_utc(value) if isinstance(value, datetime) else value for value in row]
        digest.update(repr(tuple(str(value) for value in values)).encode())
    return digest.hexdigest()


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
