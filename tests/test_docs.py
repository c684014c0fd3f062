"""Every command, option, setting and target that a page names is there."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator

import click
import pytest

from flows.settings import CHECKOUT
from flows.settings import SETTINGS as NAMES
from tests.command_page import PAGE, draw_page, read_program
from xray_core.records import ReasonCode

PAGES = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for path in (CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *CHECKOUT.glob("docs/**/*.md"))
)
SETTINGS = {f"XRAY_{name.upper()}" for name in NAMES}
OF_THE_TESTS = re.compile(r"XRAY_TEST_[A-Z_]+")


def read_code(page: str) -> list[str]:
    """What a page sets as code: blocks, line by line, and the spans of the rest."""
    text = (CHECKOUT / page).read_text()
    blocks = re.findall(r"(?ms)^```[a-z]*\n(.*?)^```", text)
    rest = re.sub(r"(?ms)^```.*?^```", "", text)
    indented = re.findall(r"(?m)^    (xray .*)$", rest)
    return [line for block in blocks for line in block.splitlines()] + re.findall(r"`([^`]+)`", rest) + indented


@pytest.fixture(scope="module")
def program() -> click.Command:
    """The whole command line."""
    return read_program()


def find_commands(code: str) -> Iterator[list[str]]:
    """The words after each `xray` of a piece of code, as a shell would split them."""
    for said in re.findall(r"(?:^|[(']|(?<!-u)\s)(?:\S*bin/)?xray ([^\n|;&>)]+)", code):
        try:
            yield shlex.split(said, comments=True)
        except ValueError:  # a quotation that was cut in the middle
            yield said.split()


def find_fault(program: click.Command, words: list[str]) -> str | None:
    """What of a command line is not there: a command, or an option of it."""
    command = program
    for place, word in enumerate(words):
        options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        option = word.partition("=")[0]
        if word.startswith("-") and option not in {*options, "-h", "--help", "-"}:
            return f"{command.name} has no {option}"
        follows_home = place > 0 and words[place - 1] == "--home"
        children = getattr(command, "commands", {})
        if children and not word.startswith("-") and not follows_home:
            if word.isupper() or not re.fullmatch(r"[a-z-]+", word):
                return None  # `xray COMMAND --help`
            if word not in children:
                return f"{command.name} has no command {word}"
            command = children[word]
    return None


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_that_a_page_names_is_there(page: str, program: click.Command) -> None:
    faults = {
        f"{' '.join(words)}: {fault}"
        for code in read_code(page)
        for words in find_commands(code)
        if (fault := find_fault(program, words))
    }

    assert faults == set()


def test_the_page_of_commands_is_what_the_command_line_says_of_itself(program: click.Command) -> None:
    """`make commands` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == draw_page(program)


def test_a_command_or_an_option_that_is_not_there_would_be_found(program: click.Command) -> None:
    said = [
        words for code in ("xray scam", "xray --home X up --prot 1", "xray labels eat") for words in find_commands(code)
    ]

    assert all(find_fault(program, words) for words in said)
    assert not any(find_fault(program, words) for words in find_commands("xray --home /x up --port 1"))


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_that_a_page_names_is_one(page: str) -> None:
    named = set(re.findall(r"\bXRAY_[A-Z_]*[A-Z]\b", (CHECKOUT / page).read_text()))

    assert {name for name in named if not OF_THE_TESTS.fullmatch(name)} <= SETTINGS


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_that_a_page_names_is_there(page: str) -> None:
    named = {target for code in read_code(page) for target in re.findall(r"\bmake ([a-z][a-z-]*)", code)}
    listed = subprocess.run(["make", "help"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout

    assert {target for target in named if not re.search(rf"^{target}\s", listed, re.MULTILINE)} <= {"help"}


def test_every_reason_code_has_its_row_and_no_other_has_one() -> None:
    """Those that defer in the first table, those that reject in the second."""
    text = (CHECKOUT / "docs" / "reason-codes.md").read_text()
    tables = re.findall(r"(?ms)^\| code \|.*?(?=\n\n|\Z)", text)

    deferred, rejected = (
        {code for row in table.splitlines() for code in re.findall(r"`([A-Z_]+)`", row.split("|")[1])}
        for table in tables
    )

    assert deferred == {code.value for code in ReasonCode if code.may_become_whole}
    assert rejected == {code.value for code in ReasonCode if not code.may_become_whole}


def test_the_version_that_is_cited_is_the_projects() -> None:
    cited = re.search(r"(?m)^version: (.*)$", (CHECKOUT / "CITATION.cff").read_text())
    own = re.search(r'(?m)^version = "(.*)"$', (CHECKOUT / "pyproject.toml").read_text())

    assert cited is not None
    assert own is not None
    assert cited.group(1) == own.group(1)
