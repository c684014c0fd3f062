"""Trained homes, made once and copied for every test that needs one."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.settings import Settings
from tests.flows.evidence_home import Rival, add_candidate, copy_home, make_trained_home


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    make_trained_home(folder)
    return folder


@pytest.fixture(scope="session")
def rival_once(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Rival:
    folder = tmp_path_factory.mktemp("rival")
    settings = copy_home(trained_once / "home", folder)
    return Rival(settings, add_candidate(settings, folder))


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Settings:
    """A home of the test's own with a trained champion and nothing scored; the dataset stays where it is."""
    return copy_home(trained_once / "home", tmp_path)


@pytest.fixture
def rival(rival_once: Rival, tmp_path: Path) -> Rival:
    """The same with a candidate beside the champion."""
    return Rival(copy_home(rival_once.settings.home, tmp_path), rival_once.candidate)
