"""The files that run the service in containers: read by their own linters, and built where that is possible."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows.service.child import shipped_prefect_settings
from flows.settings import CHECKOUT

DEPLOY = CHECKOUT / "deploy"
BIN = Path(sys.executable).parent


def lint(*command: str) -> str:
    done = subprocess.run([str(BIN / command[0]), *command[1:]], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.processes
@pytest.mark.parametrize(
    "command",
    [
        ("hadolint", str(DEPLOY / "Dockerfile")),
        ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")),
        ("kubernetes-validate", "--strict", str(DEPLOY / "kubernetes-worker.yaml")),
    ],
    ids=lambda command: str(command[0]),
)
def test_a_linter_finds_nothing(command: tuple[str, ...]) -> None:
    assert lint(*command) == ""


def read_lock(file: Path) -> dict[str, tuple[str, ...]]:
    """Version and hashes of every package of a lock."""
    found: dict[str, tuple[str, ...]] = {}
    for block in re.split(r"\n(?=[a-z0-9])", file.read_text()):
        name = re.match(r"([a-z0-9-]+)(?:\[\S+\])?==(\S+)", block)
        if name:
            found[name[1]] = (name[2], *sorted(re.findall(r"sha256:[0-9a-f]{64}", block)))
    return found


def test_the_images_hold_what_was_tested() -> None:
    tested = read_lock(CHECKOUT / "requirements.lock")
    for lock in ("scoring.lock", "training.lock"):
        held = read_lock(DEPLOY / lock)
        assert len(held) > 80
        assert {name: kept for name, kept in held.items() if tested.get(name) != kept} == {}


def test_the_scoring_image_holds_nothing_that_trains() -> None:
    heavy = {
        "tensorflow",
        "tensorflow-cpu",
        "keras",
        "scipy",
        "pandas",
        "scikit-learn",
        "matplotlib",
        "onnx",
        "tf2onnx",
    }
    scoring, training = (set(read_lock(DEPLOY / lock)) for lock in ("scoring.lock", "training.lock"))

    assert scoring & heavy == set()
    assert training >= heavy | scoring


def test_the_containers_run_as_nobody_who_matters_on_a_root_that_nobody_writes_to() -> None:
    assert "USER 10001" in (DEPLOY / "Dockerfile").read_text()
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    ours = [service for name, service in compose["services"].items() if name != "database"]
    assert [service["read_only"] for service in ours] == [True, True]
    assert compose["services"]["service"]["ports"] == ["127.0.0.1:4200:4200"]
    (container,) = yaml.safe_load((DEPLOY / "kubernetes-worker.yaml").read_text())["spec"]["template"]["spec"][
        "containers"
    ]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_what_an_image_runs_obeys_the_same_settings_of_prefect() -> None:
    """Above all the heartbeat: a run of Prefect's own 180 s would be taken for dead after 90."""
    told = re.findall(r"(PREFECT_[A-Z_]+)=(\S+)", (DEPLOY / "Dockerfile").read_text())
    wanted = {(name, value) for name, value in shipped_prefect_settings().items() if "_SERVER_" not in name}

    assert wanted <= set(told)
    assert len(wanted) >= 6


def test_the_docker_pool_runs_the_same_deployments() -> None:
    ours, theirs = (
        yaml.safe_load(path.read_text()) for path in (CHECKOUT / "prefect.yaml", DEPLOY / "prefect-docker.yaml")
    )

    for before, after in zip(ours["deployments"], theirs["deployments"], strict=True):
        assert before | {"work_pool": None} == after | {"work_pool": None}
        assert after["work_pool"]["name"] == "xray-docker"


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("buildah") is None or shutil.which("mmdebstrap") is None,
    reason="buildah and mmdebstrap are not installed: `apt-get install buildah mmdebstrap`",
)
def test_the_scoring_image_is_built_and_answers(tmp_path: Path) -> None:
    base = tmp_path / "base.tar"
    packages = "python3,python3-venv,ca-certificates"
    run("mmdebstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(base))
    store = ["--root", str(tmp_path / "root"), "--runroot", str(tmp_path / "run"), "--storage-driver", "vfs"]
    container = run("buildah", *store, "from", "scratch").strip()
    run("buildah", *store, "add", container, str(base), "/")
    run("buildah", *store, "commit", container, "xray-base")

    run(
        "buildah", *store, "build", "--isolation", "chroot", "--network", "host", "--pull=never",
        *mounts_of_this_machine(),
        "--build-arg", "BASE=localhost/xray-base", "--target", "scoring", "-t", "xray-scoring:scoring",
        "-f", str(DEPLOY / "Dockerfile"), str(CHECKOUT),
    )  # fmt: skip

    made = run("buildah", *store, "from", "--pull=never", "localhost/xray-scoring:scoring").strip()
    said = run("buildah", *store, "run", "--isolation", "chroot", made, "--", "xray", "--version")
    assert said.startswith("xray ")
    kept = run("buildah", *store, "run", "--isolation", "chroot", made, "--", "id", "-u")
    assert kept.strip() == "10001"


def mounts_of_this_machine() -> list[str]:
    """Where packages come from is this machine's business: its pip settings and certificates, read-only."""
    places = ("/etc/pip.conf", "/etc/ssl/certs")
    return [word for place in places if Path(place).exists() for word in ("--volume", f"{place}:{place}:ro")]


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stderr[-3000:])
    return done.stdout
