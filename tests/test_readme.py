"""README says what is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from flows.cli.app import app
from flows.cli.labels import labels_app
from flows.cli.models import models_app
from flows.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_stands_in_the_table_with_its_meaning(name: str) -> None:
    field = Settings.model_fields[name]

    assert field.description
    assert f"| `XRAY_{name.upper()}` |" in README
    assert field.description in README


def test_every_command_of_the_first_level_is_mentioned() -> None:
    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}

    missing = {name for name in names if f"xray {name}" not in README}

    assert missing == set()
    assert labels_app.registered_commands
    assert models_app.registered_commands


def test_every_make_target_that_is_told_exists() -> None:
    told = set(re.findall(r"`make ([a-z-]+)`", README))
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert told
    assert {target for target in told if not re.search(rf"^{target}\s", listed, re.MULTILINE)} <= {"help"}


def test_every_file_of_the_tree_exists_and_every_module_is_in_it() -> None:
    tree = README.split("## Where things are", 1)[1].split("```")[1]
    told = set(re.findall(r"[a-z_0-9]+\.py", tree))
    there = {
        path.name
        for package in ("xray_core", "db", "flows")
        for path in (ROOT / package).glob("*.py")
        if not path.name.startswith("__")
    }

    assert told == there


def test_every_file_says_that_it_is_for_research() -> None:
    assert "not for diagnosis" in README
