from __future__ import annotations

import stat
from pathlib import Path

from sqlalchemy import Engine, func, select

from db.engine import check_schema, open_engine, snapshot
from db.migrate import migrate
from db.registry.tables import ModelRow
from tests.db.rows import add_champion


def test_migrating_twice_changes_nothing(engine: Engine) -> None:
    add_champion(engine)

    migrate(engine)

    check_schema(engine)
    with snapshot(engine) as session:
        assert session.scalar(select(func.count()).select_from(ModelRow)) == 1


def test_a_path_with_a_percent_sign_is_no_trap(tmp_path: Path, sqlite_only: None) -> None:
    path = tmp_path / "100% x-rays.db"
    engine = open_engine(f"sqlite:///{path}")

    migrate(engine)

    check_schema(engine)
    engine.dispose()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
