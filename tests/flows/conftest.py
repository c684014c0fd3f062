"""Trained homes, made once and copied for every test that needs one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.settings import Settings
from tests.conftest import MadeOnce
from tests.faults.scanners import wait_until
from tests.flows.evidence_home import Rival, add_candidate, copy_home, make_trained_home
from tests.flows.service.test_service import free_port


@pytest.fixture(scope="session")
def trained_once(made_once: MadeOnce) -> Path:
    return made_once("trained", make_trained_home)


@pytest.fixture(scope="session")
def rival_once(trained_once: Path, made_once: MadeOnce) -> Rival:
    def make(folder: Path) -> None:
        version = add_candidate(copy_home(trained_once / "home", folder), folder)
        (folder / "candidate").write_text(version)

    folder = made_once("rival", make)
    return Rival(Settings(home=folder / "home", settle_seconds=0), (folder / "candidate").read_text())


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Settings:
    """A home of the test's own with a trained champion and nothing scored; the dataset stays where it is."""
    return copy_home(trained_once / "home", tmp_path)


@pytest.fixture
def rival(rival_once: Rival, tmp_path: Path) -> Rival:
    """The same with a candidate beside the champion."""
    return Rival(copy_home(rival_once.settings.home, tmp_path), rival_once.candidate)


@pytest.fixture(scope="module")
def prefect_home(tmp_path_factory: pytest.TempPathFactory, prefect_once: Path) -> Path:
    """Where the bare Prefect server keeps its database and its log."""
    return shutil.copytree(prefect_once, tmp_path_factory.mktemp("bare") / "prefect")


@pytest.fixture(scope="module")
def prefect_api(prefect_home: Path) -> Iterator[str]:
    """The API of a bare Prefect server for the tests of a module whose flows need one; none of them needs a worker.

    It starts in four seconds of work from a database that was made once. One for the whole run took more: idle, it
    uses a fiftieth of a core as long as it stands.
    """
    home, port = prefect_home, free_port()
    command = [Path(sys.executable).with_name("prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    idle = ("SCHEDULER", "LATE_RUNS", "CANCELLATION_CLEANUP", "FOREMAN", "PAUSE_EXPIRATIONS", "REPOSSESSOR", "TRIGGERS")
    environment = os.environ | {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    environment |= {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in idle}  # there is no deployment here
    log, api = home / "server.log", f"http://127.0.0.1:{port}/api"
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        wait_until(lambda: answers(f"{api}/health") or server.poll() is not None, seconds=100)
        assert server.poll() is None, log.read_text()
        yield api
    finally:
        server.terminate()
        server.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
