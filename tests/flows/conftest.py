"""A real home with a real (untrained) champion, made once and copied for every test that needs one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flows.ledger import open_ledger
from flows.settings import Settings
from xray_core.records import Label


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from flows.import_model import import_model
    from xray_core.networks import build_network
    from xray_core.records import Architecture

    folder = tmp_path_factory.mktemp("template")
    build_network(Architecture.SEED_CNN, input_size=(48, 48), seed=5).save(folder / "untrained.keras")
    settings = Settings(home=folder / "home")
    open_ledger(settings)
    import_model(
        settings,
        folder / "untrained.keras",
        positive_output=Label.COVID,
        scaling=None,
        input_size=None,
        name="untrained",
    )
    return settings.home


@pytest.fixture
def settings(tmp_path: Path, _template: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home of the test's own with a champion that nobody trained; settles at once."""
    home = tmp_path / "home"
    shutil.copytree(_template, home)
    monkeypatch.setenv("XRAY_HOME", str(home))
    monkeypatch.setenv("XRAY_SETTLE_SECONDS", "0")
    monkeypatch.chdir(tmp_path)
    return Settings(home=home, settle_seconds=0)


@pytest.fixture
def empty_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A fresh home without a champion."""
    monkeypatch.setenv("XRAY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    settings = Settings(home=tmp_path / "home", settle_seconds=0)
    open_ledger(settings)
    return settings
