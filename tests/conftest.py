"""A real home with a real champion of known weights, made once and copied for every test that needs one.

With XRAY_TEST_DATABASE_URL the homes keep their ledgers on that PostgreSQL server, one database each.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flows.home.ledger import prepare_ledger
from flows.settings import Settings
from tests import films
from tests.databases import create_database, drop_database, server_url, with_database
from xray_core.imaging.records import Scaling
from xray_core.records import Label

if TYPE_CHECKING:
    from tests.buckets import OwnBucket

# A test that imports ONNX Runtime by itself tells its vendor as little as the service does.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

MadeOnce = Callable[[str, Callable[[Path], object]], Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what loads Keras to make its home, skip what needs real X-rays where there are none, and begin with waits.

    Parallel workers take the tests in this order, and what waits for a schedule or is a suite of its own lasts longest.
    """
    items.sort(key=lambda item: not (item.get_closest_marker("prefect") or item.path.name == "test_postgres.py"))
    for item in items:
        if {"template", "trained_once"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.keras)
        if item.get_closest_marker("films") and not films.FILMS.is_dir():
            item.add_marker(pytest.mark.skip(reason=films.MISSING))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests did not run for want of the real X-rays."""
    skipped = sum(films.MISSING in str(report.longrepr) for report in terminalreporter.stats.get("skipped", []))
    if skipped:
        terminalreporter.write_line(f"{skipped} tests on real X-rays did not run: {films.MISSING}", yellow=True)


@pytest.fixture(scope="session")
def made_once(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Have a folder filled once a run, by whichever of the parallel workers comes first."""
    own = tmp_path_factory.getbasetemp()
    run = own.parent if hasattr(request.config, "workerinput") else own

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder, filled = run / name, run / f"{name}.filled"
        with (run / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not filled.exists():
                shutil.rmtree(folder, ignore_errors=True)  # half of one, whose worker failed
                folder.mkdir()
                fill(folder)
                filled.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def template(made_once: MadeOnce, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The home that the others are copies of; on a PostgreSQL server, one for each worker."""
    if server_url() is None:
        yield Settings(home=made_once("template", lambda folder: make_template(folder, None)) / "home")
        return
    with own_database("template0") as url:
        yield make_template(tmp_path_factory.mktemp("template"), url)


def make_template(folder: Path, url: str | None) -> Settings:
    """A home whose champion was imported: nobody trained its weights."""
    from flows.registry.foreign_import import import_model
    from tests.networks import lung_contrast_network

    lung_contrast_network().save(folder / "untrained.keras")
    settings = Settings(home=folder / "home", database_url=url)
    settings.home.mkdir(mode=0o700)
    key = settings.home / "site.key"
    key.touch(0o600)
    key.write_text("87" * 32 + "\n")  # it decides the split: every run has the same one
    prepare_ledger(settings)
    import_model(
        settings,
        folder / "untrained.keras",
        positive_output=Label.COVID,
        scaling=Scaling.UNIT,
        input_size=None,
        name="untrained",
    )
    return settings


@pytest.fixture(scope="session")
def prefect_once(made_once: MadeOnce) -> Path:
    """Prefect's database as its server makes it at its first start: a hundred migrations take seven seconds of work."""

    def make(folder: Path) -> None:
        command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
        subprocess.run(command, env=os.environ | {"PREFECT_HOME": str(folder)}, capture_output=True, check=True)

    return made_once("prefect", make)


@pytest.fixture
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, template: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """A home of the test's own with a champion that nobody trained; settles at once."""
    home = tmp_path / "home"
    shutil.copytree(template.home, home)
    if request.node.get_closest_marker("prefect"):
        shutil.copytree(request.getfixturevalue("prefect_once"), home / "prefect")
    with own_database(_database_of(template)) as url:
        _point_at(home, url, monkeypatch)
        monkeypatch.setenv("XRAY_SETTLE_SECONDS", "0")
        monkeypatch.chdir(tmp_path)
        yield Settings(home=home, database_url=url, settle_seconds=0)


@pytest.fixture(scope="module")
def shared_settings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, template: Settings
) -> Iterator[Settings]:
    """Such a home for all tests of a module, where starting a service for each would take too long."""
    home = tmp_path_factory.mktemp("shared") / "home"
    shutil.copytree(template.home, home)
    if request.node.get_closest_marker("prefect"):
        shutil.copytree(request.getfixturevalue("prefect_once"), home / "prefect")
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


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[str]:
    """The address of a real S3 server on loopback."""
    from tests.buckets import running_server

    with running_server() as address:
        yield address


@pytest.fixture
def bucket(bucket_server: str, monkeypatch: pytest.MonkeyPatch) -> OwnBucket:
    """A bucket of the test's own, and the environment of who uses it."""
    from tests.buckets import environment_of, make_bucket

    for name, value in environment_of(bucket_server).items():
        monkeypatch.setenv(name, value)
    return make_bucket(bucket_server)
