"""A real home with a real (untrained) champion, made once and copied for every test that needs one.

With XRAY_TEST_DATABASE_URL the homes keep their ledgers on that PostgreSQL server, one database each.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.home.ledger import prepare_ledger
from flows.settings import Settings
from tests.databases import create_database, drop_database, server_url, with_database
from xray_core.records import Label


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The home that the others are copies of."""
    from flows.registry.foreign_import import import_model
    from xray_core.networks.architectures import build_network
    from xray_core.networks.records import Architecture

    folder = tmp_path_factory.mktemp("template")
    build_network(Architecture.SEED_CNN, input_size=(48, 48), seed=5).save(folder / "untrained.keras")
    with own_database("template0") as url:
        settings = Settings(home=folder / "home", database_url=url)
        prepare_ledger(settings)
        import_model(
            settings,
            folder / "untrained.keras",
            positive_output=Label.COVID,
            scaling=None,
            input_size=None,
            name="untrained",
        )
        yield settings


@pytest.fixture
def settings(tmp_path: Path, template: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A home of the test's own with a champion that nobody trained; settles at once."""
    home = tmp_path / "home"
    shutil.copytree(template.home, home)
    with own_database(_database_of(template)) as url:
        _point_at(home, url, monkeypatch)
        monkeypatch.setenv("XRAY_SETTLE_SECONDS", "0")
        monkeypatch.chdir(tmp_path)
        yield Settings(home=home, database_url=url, settle_seconds=0)


@pytest.fixture(scope="module")
def shared_settings(tmp_path_factory: pytest.TempPathFactory, template: Settings) -> Iterator[Settings]:
    """Such a home for all tests of a module, where starting a service for each would take too long."""
    home = tmp_path_factory.mktemp("shared") / "home"
    shutil.copytree(template.home, home)
    with own_database(_database_of(template)) as url:
        yield Settings(home=home, database_url=url, settle_seconds=0)


@pytest.fixture
def empty_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A fresh home without a champion."""
    with own_database("template0") as url:
        _point_at(tmp_path / "home", url, monkeypatch)
        monkeypatch.chdir(tmp_path)
        settings = Settings(home=tmp_path / "home", database_url=url, settle_seconds=0)
        prepare_ledger(settings)
        yield settings


@pytest.fixture
def sqlite_home() -> None:
    """For tests about the SQLite file of a home."""
    if server_url() is not None:
        pytest.skip("about the SQLite file of a home")


@contextmanager
def own_database(original: str) -> Iterator[str | None]:
    """The URL of a new copy of a PostgreSQL database, or None where homes keep a SQLite file."""
    server = server_url()
    if server is None:
        yield None
        return
    name = create_database(server, original)
    try:
        yield with_database(server, name)
    finally:
        drop_database(server, name)


def _database_of(settings: Settings) -> str:
    return (settings.database_url or "").rpartition("/")[2].partition("?")[0]


def _point_at(home: Path, url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every process that the test starts finds this home and its database."""
    monkeypatch.setenv("XRAY_HOME", str(home))
    if url is not None:
        monkeypatch.setenv("XRAY_DATABASE_URL", url)
