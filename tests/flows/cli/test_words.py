"""What the terminal looks like: nothing cut, an example a line, no sentence wider than the window."""

from __future__ import annotations

import ast
import contextlib
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import click
import pytest
import typer
from typer.testing import CliRunner

from flows.cli.app import main
from flows.cli.commands import app
from flows.cli.terminal import fold
from flows.service import service
from flows.service.child import Address
from flows.settings import CHECKOUT, Settings
from xray_core.errors import PersonNeeded


@pytest.fixture(scope="module")
def program() -> click.Command:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["xray", "--version"])
        with pytest.raises(SystemExit):
            main()
    return typer.main.get_command(app)


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize("group", [(), ("labels",), ("models",), ("patients",), ("readers",)], ids="-".join)
def test_no_command_of_a_list_is_told_in_half_a_sentence(group: tuple[str, ...]) -> None:
    told = CliRunner().invoke(app, [*group, "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).stdout

    assert "Commands:" in told
    assert "..." not in told.split("Commands:")[1]
    assert max(map(len, told.splitlines())) <= 80


@pytest.mark.usefixtures("program")
def test_each_example_begins_a_line_of_its_own() -> None:
    told = CliRunner().invoke(app, ["models", "promote", "--help"], env={"COLUMNS": "80"}).stdout

    begun = [line.strip()[:42] for line in told.splitlines() if "Example:" in line]
    assert begun == ["Example: xray models promote 0002-seed_cnn", "Example: xray models promote 0002-seed_cnn"]


def test_a_line_is_folded_by_sentences_and_never_inside_a_word() -> None:
    line = (
        "  last training: 0001-seed_cnn, promote: First model. 7 covid patients; 30 are needed (about 23 more). Done."
    )

    assert fold(line, 50).splitlines() == [
        "  last training: 0001-seed_cnn, promote: First",
        "      model.",
        "      7 covid patients; 30 are needed (about 23",
        "      more).",
        "      Done.",
    ]
    assert fold("a/path/that/is/longer/than/the/window.png:", 20) == "a/path/that/is/longer/than/the/window.png:"


def draw_table(table: str = "('name', 'value'), [('a', 1)]", **environment: str) -> bytes:
    """A table as a terminal gets it."""
    program = f"from flows.cli.terminal import print_table; print_table({table})"
    return tell_terminal(["-c", program], **environment)


def tell_terminal(arguments: list[str], **environment: str) -> bytes:
    """What a Python program writes to a terminal; its exit code does not matter."""
    ours, theirs = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "TERM")}
    with subprocess.Popen([sys.executable, *arguments], stdout=theirs, env=kept | environment):
        os.close(theirs)
        written = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while piece := os.read(ours, 10_000):
                written += piece
    os.close(ours)
    return written


@pytest.mark.processes
def test_a_terminal_that_wants_no_colour_or_can_show_none_gets_none() -> None:
    plain, without_colour = draw_table(TERM="dumb"), draw_table(TERM="xterm-256color", NO_COLOR="1")

    assert b"name" in plain
    assert b"name" in without_colour
    assert b"\x1b" not in plain
    assert not re.search(rb"\x1b\[[\d;]*(3|4|9|10)\d", without_colour), "bold is no colour"


@pytest.mark.processes
@pytest.mark.parametrize("columns", ["40", "80"])
def test_a_terminal_too_narrow_for_a_table_gets_its_rows_with_nothing_cut_or_broken(columns: str) -> None:
    digest = "0123456789abcdef" * 4
    table = f"('version', 'made (UTC)', 'sha256'), [('0001-efficientnet_lite0', '2026-05-01 10:00', '{digest}')]"

    drawn = draw_table(table, TERM="xterm-256color", NO_COLOR="1", COLUMNS=columns).decode()

    lines = drawn.splitlines()
    assert lines[0] == "0001-efficientnet_lite0"
    assert lines[1] == "  made (UTC): 2026-05-01 10:00"
    assert "".join(lines[2:]).split() == ["sha256:", digest]


@pytest.mark.processes
@pytest.mark.parametrize(("columns", "is_table"), [("60", False), ("120", True)])
def test_a_terminal_that_can_do_nothing_still_says_how_wide_it_is(columns: str, is_table: bool) -> None:
    table = f"('version', 'sha256'), [('{'v' * 30}', '{'0' * 40}')]"

    drawn = draw_table(table, TERM="dumb", COLUMNS=columns).decode().splitlines()

    assert (drawn[0].split() == ["version", "sha256"]) is is_table


def test_deploying_that_takes_too_long_is_a_sentence(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def never_ends(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("deploy", 180)

    monkeypatch.setattr(subprocess, "run", never_ends)

    with pytest.raises(PersonNeeded, match=r"deploying did not end within 180 s; see .*deploy\.log"):
        service._deploy(settings, Address("127.0.0.1", 1))


@pytest.mark.processes
@pytest.mark.parametrize("command", [["doctor"], ["patients", "status"]])
def test_what_a_command_tells_is_folded_to_the_terminal(settings: Settings, command: list[str]) -> None:
    told = tell_terminal(["-m", "flows", *command], TERM="dumb", COLUMNS="60").decode().splitlines()

    assert told
    assert [line for line in told if len(line) > 60 and len(line.split()) > 1] == []


@pytest.mark.processes
def test_a_mistake_is_told_within_the_width_of_the_terminal_that_it_is_told_on() -> None:
    sentence = "wide.csv: received a column without a name. Expected one of patient, label and source. " * 2
    program = f"from flows.cli.terminal import fail; fail({sentence!r} + '\\nname\\tx', code=2)"
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 50))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=theirs, env=kept, check=True)
    told = os.read(ours, 10_000).decode().splitlines()
    os.close(theirs)
    os.close(ours)

    assert told[0] == "xray: wide.csv: received a column without a name."
    assert told[-1].startswith("name"), "what was a line of its own stays one"
    assert max(map(len, told)) <= 50
    assert " ".join(" ".join(told).split()) == f"xray: {sentence}name x"


def test_no_command_prints_for_people_past_what_folds() -> None:
    """A pseudonym for each line that came in, the version and the rows of a table that grows stay as they are."""
    echoes, past = 0, []
    allowed = ("tabulate", "pseudonym", "installed_version")
    for file in (CHECKOUT / "flows").rglob("*.py"):
        if file.name == "terminal.py":
            continue
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        calls = {call.func: ast.unparse(call) for call in nodes if isinstance(call, ast.Call)}
        for echo in nodes:
            # Named at all, not only called: handed on as `say` it would print as well.
            if isinstance(echo, ast.Attribute) and ast.unparse(echo) == "typer.echo":
                echoes += 1
                said = calls.get(echo, "handed on")
                past += [] if any(word in said for word in allowed) else [f"{file.name}:{echo.lineno}: {said}"]

    assert echoes >= len(allowed)
    assert past == []
