"""The tour, followed word by word: every command of the page, in its order, in one shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flows.settings import CHECKOUT

TOUR = (CHECKOUT / "docs" / "tour.md").read_text()
# What is said whatever a training has learned.
CERTAIN = re.compile(
    r"to train on|that arrive|All of it is drawn|registered|rejected  WRONG|^nothing new|rejected for good|rows in |"
    r"refused, nothing was imported|rows taken in|^  (covid|normal|other) |"
    r"^labels: |^files: |^patients: "
)


def read_blocks() -> list[tuple[str, list[str]]]:
    """Commands of the page, each with the output that the page shows for it."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```\n(\$ .*?)```", TOUR, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def without_moments(line: str) -> str:
    """A line without dates and times, without what they are called after, and without the folder of the home."""
    line = re.sub(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}|\d{8}T\d{6}Z[a-z-]*", "MOMENT", line)
    return re.sub(r"/\S*xray-home", "xray-home", line).strip()


@pytest.mark.slow
@pytest.mark.keras
@pytest.mark.processes
@pytest.mark.timeout(1800)
def test_every_command_of_the_tour_does_what_the_page_says(tmp_path: Path) -> None:
    commands = read_blocks()
    script = "\n".join(
        f"echo '@@{place}'; {command} 2>&1; echo \"@@ $?\"" for place, (command, _) in enumerate(commands)
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("XRAY_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"

    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    said = [part.rpartition("@@ ") for part in re.split(r"(?m)^@@\d+\n", done.stdout)[1:]]
    assert len(said) == len(commands) >= 10, done.stderr
    for (command, shown), (output, _, code) in zip(commands, said, strict=True):
        is_refused = any(line.startswith("xray: ") for line in shown)
        assert int(code) == (2 if is_refused else 0), f"{command}: {output}"
        told = {without_moments(line) for line in output.splitlines()}
        missing = [line for line in shown if CERTAIN.search(line) and without_moments(line) not in told]
        assert missing == [], f"{command}: {output}"


def test_the_samples_are_there_once_and_never_overwritten(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flows", "sample", str(tmp_path)]

    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "is there already" in done.stderr
    assert list(tmp_path.iterdir()) == []
