"""An installation that only scores: none of what trains is there, and nobody who scores misses it."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from flows.settings import CHECKOUT, Settings
from tests.flows.scoring.test_scan import drop_xrays

pytestmark = pytest.mark.processes

WITHOUT_TRAINING = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        room = name.partition(".")[0]
        if room in {"tensorflow", "keras", "scipy", "sklearn", "pandas", "matplotlib", "onnx", "tf2onnx"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_TRAINING + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def xray(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("from flows.cli.app import main\nmain()", *arguments)


def test_everything_around_the_scores_works_without_what_trains(settings: Settings, tmp_path: Path) -> None:
    drop_xrays(settings.incoming_dir, 3)
    results, labels = tmp_path / "results.csv", tmp_path / "labels.csv"

    for words in (
        ["scan"],
        ["export", "--out", str(results)],
        ["status"],
        ["verify"],
        ["why", str(settings.incoming_dir / "xray-0-000.png")],
        ["worklist", "--out", str(tmp_path / "worklist.csv")],
        ["models", "list"],
        ["models", "history"],
        ["labels", "status"],
        ["patients", "status"],
        ["readers", "list"],
    ):
        done = xray(*words)
        assert done.returncode == 0, (words, done.stderr[-500:])

    rows = list(csv.DictReader(results.read_text().splitlines()))
    with labels.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(row | {"label": "normal", "labelled_by": "anna"} for row in rows)
    done = xray("labels", "import", str(labels))
    assert done.returncode == 0, done.stderr[-500:]
    assert "3 new" in done.stdout or "3 rows" in done.stdout


def test_a_drift_check_works_without_what_trains_beside_a_model_that_was_trained(
    trained: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_HOME", str(trained.home))
    monkeypatch.setenv("XRAY_SETTLE_SECONDS", "0")
    drop_xrays(trained.incoming_dir, 3)
    assert xray("scan").returncode == 0
    code = (
        "from flows.settings import read_settings\n"
        "from flows.operations.drift import check_drift_of_champion\n"
        "print(check_drift_of_champion(read_settings()).sentence)"
    )

    done = run(code)

    assert done.returncode == 0, done.stderr[-500:]
    assert "Too few X-rays to tell" in done.stdout


@pytest.mark.parametrize("flow", ["score_incoming", "import_labels", "export_results", "check_drift"])
def test_every_flow_but_the_training_loads_without_what_trains(flow: str) -> None:
    done = run(f"import flows.deployments.{flow}")

    assert done.returncode == 0, done.stderr[-500:]


@pytest.mark.parametrize(
    "words", [["train", "."], ["models", "audit"], ["models", "evaluate", "--on", ".", "--name", "b"]]
)
def test_what_trains_or_judges_says_which_extra_it_needs(settings: Settings, words: list[str]) -> None:
    done = xray(*words)

    assert done.returncode == 2, done.stderr[-500:]
    assert "xray-scoring[train]" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_doctor_asks_only_for_what_is_installed(settings: Settings) -> None:
    code = (
        "import importlib.metadata as metadata\n"
        "asked = metadata.version\n"
        "def version(name):\n"
        "    if name in ('tensorflow-cpu', 'tensorflow', 'keras', 'onnx', 'tf2onnx', 'pandas', 'matplotlib',\n"
        "                'scikit-learn', 'scipy', 'threadpoolctl'):\n"
        "        raise metadata.PackageNotFoundError(name)\n"
        "    return asked(name)\n"
        "metadata.version = version\n"
        "from flows.cli.app import main\nmain()"
    )

    done = run(code, "doctor")

    assert "training is not installed here" in done.stdout
    assert "is missing" not in done.stdout


@pytest.mark.slow
def test_the_wheel_holds_all_that_the_service_reads(tmp_path: Path) -> None:
    names = set(zipfile.ZipFile(build_wheel(tmp_path)).namelist())

    assert set(list_tracked()) - names == set()
    assert {"flows/prefect.yaml", "flows/prefect.toml", "flows/retraining-policy.toml"} <= names


def build_wheel(folder: Path) -> Path:
    """The service as people install it, from what git tracks."""
    uv, source = Path(sys.executable).with_name("uv"), folder / "source"
    beside = ("pyproject.toml", "README.md", "LICENSE", "prefect.yaml", "prefect.toml", "retraining-policy.toml")
    for name in [*list_tracked(), *beside]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, source / name)
    command = [str(uv), "build", "--wheel", "--no-build-isolation", "--out-dir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def list_tracked() -> list[str]:
    asked = ["git", "-C", str(CHECKOUT), "ls-files", "flows", "db", "xray_core"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
