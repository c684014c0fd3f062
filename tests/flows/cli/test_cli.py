"""The command line: every command shows an example, a user's mistake is one sentence, programs get JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from flows.cli.app import main
from flows.cli.commands import app
from flows.settings import Settings
from tests.flows.scoring.test_scan import drop_xrays, scan
from tests.forked import run_forked
from tests.schemas import check_output

pytestmark = pytest.mark.processes


def xray(*arguments: str, wait: float = 100, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """A command of ours; what it prints as JSON is held to the schema of docs/schema, whoever asks for it."""
    done = run_forked("flows", *arguments, given=given, wait=wait)
    if "--json" in arguments and done.stdout:
        check_output(arguments, done.stdout)
    return done


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    children = getattr(command, "commands", {})
    if not children:
        yield path, command
    for name, child in children.items():
        yield from walk(child, (*path, name))


def test_every_command_shows_an_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["xray", "--help"])
    with pytest.raises(SystemExit):
        main()
    capsys.readouterr()

    commands = dict(walk(typer.main.get_command(app)))

    assert {("scan",), ("train",), ("labels", "import"), ("models", "promote"), ("demo",)} <= set(commands)
    for path, command in commands.items():
        assert f"Example: xray {' '.join(path)}" in (command.help or "").replace("XRAY_HOME=/data/new-home ", ""), path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("labels", "import", "nowhere.csv"), "nowhere.csv"),
        (("labels", "import", "/dev/zero"), "/dev/zero: there is no such file or folder"),
        (("patients", "import", "/dev/zero"), "/dev/zero: there is no such file"),
        (("why", ""), "received ''; expected the name of one file"),
        (("why", ".."), "received '..'; expected the name of one file"),
        (("why", "x" * 300), "expected the name of one file"),
        (("labels", "import", "{home}", "--map", "pneumonia"), "--map"),
        (("models", "show", "0099-nobody"), "0099-nobody"),
        (("models", "promote", "0099-nobody", "--override"), "--reason"),
        (("models", "import", "nowhere.keras", "--positive-output", "covid"), "nowhere.keras"),
        (("models", "import", "{home}/home.id", "--positive-output", "covid"), "only .keras files are imported"),
        (("--home", "{home}/home.id", "init"), "home.id is a file; expected a folder"),
        (("--home", "{home}/home.id/new", "restore", "nowhere"), "home.id is a file; expected a folder"),
        (("--home", "{home}/home.id", "status"), "home.id is a file; expected a folder"),
        (("train", "nowhere"), "nowhere"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_exit_code_2(
    settings: Settings, arguments: tuple[str, ...], words: str
) -> None:
    done = xray(*(argument.format(home=settings.home) for argument in arguments))

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("scan", "--colour"), ("nonsense",), ("why",), ("up", "--port", "0")])
def test_wrong_use_is_exit_code_2_without_a_traceback(settings: Settings, arguments: tuple[str, ...]) -> None:
    done = xray(*arguments)

    assert done.returncode == 2
    assert "Usage: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_named_with_what_it_takes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XRAY_PREVALENCE", "lots")

    done = xray("scan")

    assert done.returncode == 2
    assert "XRAY_PREVALENCE: received 'lots'" in done.stderr


@pytest.mark.parametrize("command", [("scan",), ("status",), ("labels", "status"), ("export",), ("doctor",), ("init",)])
def test_every_command_names_a_variable_that_is_no_setting(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("XRAY_BACH_SIZE", "7")

    done = xray(*command)

    assert "xray: XRAY_BACH_SIZE: is no setting and has no effect; is XRAY_BATCH_SIZE meant?" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("status",), ("verify",), ("scan",), ("doctor",), ("init",)])
def test_a_bad_database_url_is_one_sentence_for_every_command(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    for url in ("nonsense", "sqlite+nonsense:////tmp/x.db", "postgresql://u:secret@localhost:port/d"):
        monkeypatch.setenv("XRAY_DATABASE_URL", url)

        done = xray(*command)

        said = done.stdout if command == ("doctor",) else done.stderr
        assert done.returncode == (1 if command == ("doctor",) else 2)
        assert "XRAY_DATABASE_URL" in said
        assert "expected sqlite:////ABSOLUTE/FILE or postgresql+psycopg://USER@HOST/DATABASE" in said
        assert "secret" not in said
        assert "Traceback" not in done.stderr


def test_a_command_that_looks_makes_no_database_where_a_mistyped_url_says(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XRAY_DATABASE_URL", f"sqlite:///{tmp_path / 'mistyped.db'}")

    for command in ("status", "scan", "verify"):
        done = xray(command)

        assert done.returncode == 2
        assert f"xray: there is no database at {tmp_path / 'mistyped.db'}: mend XRAY_DATABASE_URL" in done.stderr
    assert not (tmp_path / "mistyped.db").exists()


def test_a_server_that_cannot_be_reached_is_one_sentence(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XRAY_DATABASE_URL", "postgresql://u:secret@127.0.0.1:1/d")

    done = xray("status")

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "is the server running, and does XRAY_DATABASE_URL name it?" in done.stderr
    assert "secret" not in done.stderr


def test_refused_labels_list_every_line(settings: Settings, tmp_path: Path) -> None:
    drop_xrays(settings.incoming_dir, 1)
    scan(settings)
    (tmp_path / "bad.csv").write_text("filename,label\nxray-0-000.png,covid\nxray-0-000.png,flu\nb.png,gout\n")

    done = xray("labels", "import", "bad.csv")

    assert done.returncode == 2
    assert "line 3" in done.stderr
    assert "line 4" in done.stderr
    assert json.loads(xray("labels", "status", "--json").stdout)["new_labels"] == 0


def test_why_answers_for_a_file_that_was_never_seen_too(settings: Settings) -> None:
    done = xray("why", "never-seen.png")

    assert done.returncode == 0, done.stderr
    assert "no scan has ever seen it" in done.stdout


def test_a_scan_without_a_champion_is_exit_code_1(empty_settings: Settings) -> None:
    drop_xrays(empty_settings.incoming_dir, 1)

    done = xray("scan")

    assert done.returncode == 1
    assert "xray train" in done.stderr
    assert "Traceback" not in done.stderr


def test_bad_files_are_data_and_no_failure(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 1)
    (settings.incoming_dir / "report.png").write_bytes(b"%PDF-1.7 not an image")

    done = xray("scan", "--json")

    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert (counts["scored"], counts["rejected"]) == (1, {"UNSUPPORTED_FORMAT": 1})


@pytest.mark.parametrize("arguments", [("models", "list"), ("models", "history"), ("labels", "status"), ("status",)])
def test_what_a_program_may_read_is_one_json_object(settings: Settings, arguments: tuple[str, ...]) -> None:
    done = xray(*arguments, "--json")

    assert isinstance(json.loads(done.stdout), dict)
