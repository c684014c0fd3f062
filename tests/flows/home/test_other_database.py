"""A team outgrows one machine: its home moves from SQLite to PostgreSQL by backup and restore, and back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.home.backup import back_up, restore
from flows.home.ledger import prepare_ledger
from flows.operations.verification import find_breach
from flows.registry.models import list_models
from flows.settings import Settings
from tests.databases import create_database, drop_database, server_url, with_database
from tests.flows.scoring.test_scan import drop_xrays, read_lines, scan
from xray_core.errors import RefusedInput

pytestmark = pytest.mark.skipif(server_url() is None, reason="runs on PostgreSQL, as `make test` does once more")


@pytest.fixture
def empty_database() -> Iterator[str]:
    server = server_url()
    assert server is not None
    name = create_database(server)
    yield with_database(server, name)
    drop_database(server, name)


def test_a_home_goes_from_postgresql_to_sqlite_and_back_and_scores_on_everywhere(
    settings: Settings, empty_database: str, tmp_path: Path
) -> None:
    drop_xrays(settings.incoming_dir, 3)
    scan(settings)
    on_sqlite = Settings(home=tmp_path / "sqlite", database_url=None, settle_seconds=0)
    back = on_sqlite.but({"home": tmp_path / "postgresql", "database_url": empty_database})

    for number, (before, after) in enumerate([(settings, on_sqlite), (on_sqlite, back)], start=1):
        back_up(before, tmp_path / f"backup-{number}")
        restore(after, tmp_path / f"backup-{number}")
        shutil.copytree(before.incoming_dir, after.incoming_dir, dirs_exist_ok=True)
        assert find_breach(after)[0] is None
        assert read_lines(after) == read_lines(before)
        assert list_models(after) == list_models(before)
        prepare_ledger(after)
        drop_xrays(after.incoming_dir, 1, seed=number)
        assert scan(after).scored == 1
        assert find_breach(after)[0] is None

    assert not list((tmp_path / "postgresql").glob("*.db*"))


def test_a_backup_is_not_restored_into_a_database_in_use(settings: Settings, tmp_path: Path) -> None:
    back_up(settings, tmp_path / "backup")

    with pytest.raises(RefusedInput, match="holds tables already"):
        restore(settings.but({"home": tmp_path / "new"}), tmp_path / "backup")

    assert not (tmp_path / "new").exists()
