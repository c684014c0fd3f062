"""Every command that prints facts prints them for programs too, as its schema in docs/schema says."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
import typer
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from typer.testing import CliRunner

from flows.cli.app import main
from flows.cli.commands import app
from flows.reading.readers import add_reader
from flows.settings import Settings
from tests.flows.cli.test_cli import walk, xray
from tests.flows.evidence_home import Rival, champion
from tests.flows.scoring.test_scan import drop_xrays, scan
from tests.schemas import SCHEMAS, check_output, find_schema

# They show pages or tell a story until they are stopped.
PAGES = {("up",), ("demo",), ("review",), ("results",), ("labels", "adjudicate")}


@pytest.fixture(scope="module")
def commands() -> dict[tuple[str, ...], click.Command]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["xray", "--version"])
        with pytest.raises(SystemExit):
            main()
    return dict(walk(typer.main.get_command(app)))


def test_every_command_but_those_that_show_pages_has_json_and_a_schema(
    commands: dict[tuple[str, ...], click.Command],
) -> None:
    with_json = {
        path for path, command in commands.items() if any("--json" in option.opts for option in command.params)
    }

    assert set(commands) - with_json == PAGES
    assert {find_schema(path).stem for path in with_json} == {path.stem for path in SCHEMAS.glob("*.json")}
    assert {"-".join(path) for path in with_json} == {path.stem for path in SCHEMAS.glob("*.json")}


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_every_schema_is_one_and_takes_no_other_field(path: Path) -> None:
    schema = json.loads(path.read_text())

    Draft202012Validator.check_schema(schema)
    assert schema["title"] == f"xray {path.stem.replace('-', ' ')} --json"
    with pytest.raises(ValidationError):
        check_output(path.stem.split("-"), json.dumps({"something": "else"}))
    with pytest.raises(ValidationError):
        check_output(path.stem.split("-"), "{}") if path.stem != "models-audit" else check_output(
            ["models", "audit"], "[]"
        )


@pytest.fixture
def scored(settings: Settings) -> Settings:
    """A home with films that were scored, one that was refused, and a reader."""
    drop_xrays(settings.incoming_dir, 3)
    (settings.incoming_dir / "letter.png").write_bytes(b"Dear colleague")
    scan(settings)
    add_reader(settings, "Anna")
    (settings.home.parent / "labels.csv").write_text("filename,label,labelled_by\nxray-0-000.png,covid,Anna\n")
    (settings.home.parent / "patients.csv").write_text("filename,patient_id\nxray-0-000.png,P1\n")
    return settings


def ask(*words: str) -> tuple[int, str]:
    """A command of ours within this process, its JSON held to its schema; exit code and standard output."""
    done = CliRunner().invoke(app, [*words, "--json"], input="")
    assert done.stdout, done.output
    check_output(words, done.stdout)
    return done.exit_code, done.stdout


@pytest.mark.processes
@pytest.mark.lengthy
@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("init", "--accept-folders"), 0),
        (("status",), 0),
        (("verify",), 0),
        (("doctor",), None),
        (("export",), 0),
        (("worklist",), 0),
        (("why", "letter.png"), 0),
        (("why", "xray-0-000.png"), 0),
        (("pseudonyms", "study"), 0),
        (("backup", "copy", "--with-xrays"), 0),
        (("sample", "tour"), 0),
        (("labels", "import", "labels.csv"), 0),
        (("labels", "status"), 0),
        (("labels", "agreement"), 0),
        (("models", "list"), 0),
        (("models", "show", "0001-untrained"), 0),
        (("models", "history"), 0),
        (("models", "field"), 0),
        (("patients", "import", "patients.csv"), 0),
        (("patients", "status"), 0),
        (("readers", "add", "Ben"), 0),
        (("readers", "list"), 0),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_prints_what_its_schema_says(scored: Settings, words: Sequence[str], code: int | None) -> None:
    found, printed = ask(*words)

    assert code is None or found == code, printed


@pytest.mark.processes
@pytest.mark.lengthy
@pytest.mark.usefixtures("commands")
def test_a_restored_home_is_told_of(scored: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask("backup", "copy")
    monkeypatch.delenv("XRAY_DATABASE_URL", raising=False)
    monkeypatch.setenv("XRAY_HOME", str(tmp_path / "new"))

    code, printed = ask("restore", "copy")

    assert (code, json.loads(printed)["home"]) == (0, str(tmp_path / "new"))


@pytest.mark.processes
@pytest.mark.keras
@pytest.mark.lengthy
@pytest.mark.usefixtures("commands")
def test_promotion_past_the_gate_and_rollback_are_told_of(rival: Rival, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XRAY_HOME", str(rival.settings.home))
    before = champion(rival.settings).version

    _, past = ask("models", "promote", rival.candidate, "--override", "--reason", "a test")
    _, back = ask("models", "rollback")

    assert json.loads(past)["past_the_gate"]
    assert json.loads(back)["version"] == before


@pytest.mark.processes
@pytest.mark.keras
@pytest.mark.slow
def test_a_training_its_gate_and_an_import_are_told_of(
    rival: Rival, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_HOME", str(rival.settings.home))
    assert xray("sample", str(tmp_path / "tour")).returncode == 0
    dataset, whose = tmp_path / "tour" / "dataset", tmp_path / "tour" / "patients.csv"

    trained = xray("train", str(dataset), "--patients", str(whose), "--epochs", "1", "--json", wait=400)
    model = rival.settings.models_dir / json.loads(trained.stdout)["version"] / "model.keras"
    scaled = ("--positive-output", "covid", "--scaling", "unit")
    imported = xray("models", "import", str(model), *scaled, "--json", wait=400)
    judged = xray("models", "promote", rival.candidate, "--json", wait=400)

    assert trained.returncode == 0, trained.stderr
    assert "loss" in trained.stderr, "what a person watches stands beside it"
    assert imported.returncode == 0, imported.stderr
    assert not json.loads(judged.stdout)["past_the_gate"], judged.stderr
