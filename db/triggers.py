"""The triggers that keep history append-only, compared with those that the migrations make."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from db.migrate import migrate
from db.schema import APPEND_ONLY

_ON_SQLITE = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
_ON_POSTGRESQL = text(
    "SELECT t.tgname, CASE WHEN t.tgenabled = 'O' AND p.prosrc LIKE '%RAISE EXCEPTION%' THEN 'refuses' END "
    "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid "
    "WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace"
)


def find_changed_triggers(session: Session) -> Iterator[str]:
    """Every trigger that is missing, is another one, or that no migration made; one sentence each."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    found: dict[str, str] = dict(session.execute(_ON_SQLITE if is_sqlite else _ON_POSTGRESQL).tuples().all())
    expected = _list_on_sqlite() if is_sqlite else _list_on_postgresql()
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            yield f"database: the trigger {name} is gone, which kept history from being changed"
        elif found[name] != expected.get(name):
            yield f"database: the trigger {name} is not the one that the migrations made"


def _list_on_sqlite() -> dict[str, str]:
    """What the migrations make of an empty database in memory."""
    engine = create_engine("sqlite://")
    try:
        migrate(engine)
        with Session(engine) as session:
            return dict(session.execute(_ON_SQLITE).tuples().all())
    finally:
        engine.dispose()


def _list_on_postgresql() -> dict[str, str]:
    kinds = [f"{table}_refuses_{what}" for table in APPEND_ONLY for what in ("change", "truncate")]
    return dict.fromkeys([*kinds, "audit_log_grows_at_its_end", "models_stay_what_they_are"], "refuses")
