"""The scoring lock in an environment of its own: how large it is, what is not in it, and that it does the work."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from flows.settings import CHECKOUT, Settings
from tests.flows.cli.test_scoring_install import build_wheel
from tests.flows.scoring.test_scan import drop_xrays

pytestmark = [pytest.mark.processes, pytest.mark.slow]

# As `du -m` counts: blocks on disk in units of 2**20 bytes.
MOST_MEGABYTES = 420
_NOT_OF_A_HOST = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
HEAVY = {"tensorflow", "tensorflow-cpu", "keras", "scipy", "pandas", "scikit-learn", "matplotlib", "onnx", "tf2onnx"}
DRIFT = "from flows.operations.drift import *; print(check_drift_of_champion(Settings(home=sys.argv[1])).sentence)"
IMPORT = "from flows.review.label_import import *; print(take_in(Settings(home=sys.argv[1]), Path(sys.argv[2]), 1))"
FLOWS = "from flows.deployments import score_incoming, import_labels, export_results, check_drift"


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What deploy/scoring.lock names, by hash, and the service as a wheel, all without byte code."""
    folder = tmp_path_factory.mktemp("scoring")
    blocks = re.split(r"\n(?=[a-z0-9])", (CHECKOUT / "deploy" / "scoring.lock").read_text())
    (folder / "scoring.txt").write_text("\n".join(block for block in blocks if not block.startswith("uv==")))
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    environment = os.environ | {"UV_COMPILE_BYTECODE": "0", "UV_LINK_MODE": "copy"}
    command = [uv, "pip", "install", "--require-hashes", "--python", str(folder / "venv"), "-r", "scoring.txt"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the packages of the lock cannot be had here: {done.stderr.splitlines()[-1]}")
    wheel = build_wheel(folder)
    command = [uv, "pip", "install", "--no-deps", "--python", str(folder / "venv"), str(wheel)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return folder / "venv"


def run(venv: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_OF_A_HOST}
    command = [str(venv / "bin" / "python"), "-B", *arguments]
    done = subprocess.run(command, cwd=venv, env=environment, umask=0o077, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr[-1500:])
    return done.stdout


def test_the_scoring_install_is_small_and_holds_nothing_that_trains(venv: Path) -> None:
    (packages,) = venv.glob("lib/python3.*/site-packages")
    names = {found.metadata["Name"].lower() for found in distributions(path=[str(packages)])}
    megabytes = sum(path.lstat().st_blocks for path in venv.rglob("*")) * 512 / 2**20

    print(f"{megabytes:.0f} MB of disk in {len(names)} packages")
    assert names & HEAVY == set()
    assert megabytes <= MOST_MEGABYTES


def test_all_that_a_scoring_host_is_asked_for_ends_well_there(venv: Path, settings: Settings, tmp_path: Path) -> None:
    drop_xrays(settings.incoming_dir, 3)
    results, labels = tmp_path / "results.csv", settings.labels_dir / "labels.csv"

    assert "3 scored" in run(venv, "-m", "flows", "scan")
    run(venv, "-m", "flows", "export", "--out", str(results))
    rows = list(csv.DictReader(results.read_text().splitlines()))
    with labels.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(row | {"label": "normal", "labelled_by": "anna"} for row in rows)
    labels.chmod(0o600)
    home = str(settings.home)
    assert "new=3" in run(venv, "-c", f"import sys; from pathlib import Path; {SETTINGS}; {IMPORT}", home, str(labels))
    assert run(venv, "-c", f"import sys; {SETTINGS}; {DRIFT}", home)
    for words in (["status"], ["doctor"]):
        assert run(venv, "-m", "flows", *words)
    assert run(venv, "-c", f"{FLOWS}; print('loaded')") == "loaded\n"


SETTINGS = "from flows.settings import Settings"
