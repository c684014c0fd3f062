"""README says what is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from flows.cli.commands import app
from flows.cli.labels import labels_app
from flows.cli.models import models_app
from flows.settings import SETTINGS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGE = (ROOT / "docs" / "settings.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
TOUR = (ROOT / "docs" / "tour.md").read_text()


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_setting_stands_in_the_table_with_its_meaning(name: str) -> None:
    description = SETTINGS[name].metadata["description"]

    assert description
    assert f"| `XRAY_{name.upper()}` |" in PAGE
    assert description in PAGE


def test_every_command_of_the_first_level_is_mentioned() -> None:
    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}

    missing = {name for name in names if f"xray {name}" not in README + TOUR}

    assert missing == set()
    assert labels_app.registered_commands
    assert models_app.registered_commands


def test_every_make_target_that_is_told_exists() -> None:
    told = set(re.findall(r"`make ([a-z-]+)`", README))
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert told
    assert {target for target in told if not re.search(rf"^{target}\s", listed, re.MULTILINE)} <= {"help"}


def test_every_room_has_its_line_in_the_tree_and_no_other_has_one() -> None:
    tree = ARCHITECTURE.split("## Where things are", 1)[1].split("```")[1]
    told = set(re.findall(r"^ *([a-z_]+)/", tree, re.MULTILINE))
    there = {
        path.name
        for package in ("xray_core", "db", "flows")
        for path in [ROOT / package, *(ROOT / package).iterdir()]
        if path.is_dir() and any(path.glob("*.py"))
    }

    assert told == there | {"tests", "docs", "deploy"}


@pytest.mark.parametrize(
    "page", sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
)
def test_every_page_links_only_to_what_is_there(page: Path) -> None:
    text = (ROOT / page).read_text()
    targets = {link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link}

    assert {target for target in targets if target and not (ROOT / page.parent / target).exists()} == set()


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/glossary.md", "CONTRIBUTING.md"])
def test_every_path_that_a_page_names_is_there(page: str) -> None:
    named = set(re.findall(r"`((?:flows|db|xray_core|tests|docs)/[a-z_/.0-9]*)`", (ROOT / page).read_text()))

    assert {path for path in named if not (ROOT / path).exists()} <= {
        "flows/registry/verdicts.py",
        "tests/architecture",
    }


def test_readme_is_short_and_shows_two_pictures_that_are_there() -> None:
    pictures = re.findall(r"!\[[^]]{20,}\]\((docs/pictures/[a-z]+\.png)\)", README)

    assert len(README.splitlines()) <= 150
    assert len(pictures) == 2
    assert all((ROOT / picture).is_file() for picture in pictures)


def test_readme_says_that_it_is_for_research() -> None:
    assert "not for diagnosis" in README
