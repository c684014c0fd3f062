"""A migrated database per test: SQLite in `tmp_path`, or on the PostgreSQL server of XRAY_TEST_DATABASE_URL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from db.engine import open_engine
from db.migrate import migrate
from tests import databases
from tests.databases import create_database, drop_database, with_database
from tests.db.rows import ANCHOR


@pytest.fixture(scope="session")
def server_url() -> str | None:
    return databases.server_url()


@pytest.fixture(scope="session")
def migrated(server_url: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database after real migrations, made once: what `database_url` copies. A path, or a database's name."""
    if server_url is None:
        path = tmp_path_factory.mktemp("migrated") / "xray.db"
        migrate_url(f"sqlite:///{path}")
        yield str(path)
        return
    name = create_database(server_url)
    migrate_url(with_database(server_url, name))
    yield name
    drop_database(server_url, name)


@pytest.fixture
def empty_url(server_url: str | None, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables."""
    if server_url is None:
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    name = create_database(server_url)
    yield with_database(server_url, name)
    drop_database(server_url, name)


@pytest.fixture
def database_url(server_url: str | None, migrated: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh migrated database."""
    if server_url is None:
        shutil.copy(migrated, tmp_path / "xray.db")
        yield f"sqlite:///{tmp_path / 'xray.db'}"
        return
    name = create_database(server_url, template=migrated)
    yield with_database(server_url, name)
    drop_database(server_url, name)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url, anchor=ANCHOR)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite_only(server_url: str | None) -> None:
    if server_url is not None:
        pytest.skip("about SQLite files")


def migrate_url(url: str) -> None:
    engine = open_engine(url, anchor=ANCHOR)
    migrate(engine)
    engine.dispose()
