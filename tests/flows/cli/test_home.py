"""What may stand before every command: the home that is meant, and the question for the version."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from db.schema import HEAD
from flows.settings import Settings
from tests.forked import xray
from xray_core.imaging.records import Remedy, RemedyWord
from xray_core.synthetic.xrays import write_sample_set

pytestmark = pytest.mark.processes


def test_the_version_is_that_of_the_package_and_of_the_ledger() -> None:
    done = xray("--version")

    assert done.returncode == 0
    assert done.stdout.startswith(f"xray {version('xray-scoring')} (ledger revision {HEAD}, Python 3.")


def test_a_home_that_is_named_before_the_command_is_the_one_that_is_meant(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XRAY_HOME", str(tmp_path / "nowhere"))

    named, unnamed = xray("--home", str(settings.home), "status", "--json"), xray("status")

    assert unnamed.returncode == 2
    assert json.loads(named.stdout)["champion"]
    assert not (tmp_path / "nowhere").exists()


def test_an_empty_home_says_what_to_do_for_a_first_model(empty_settings: Settings) -> None:
    assert xray("init").returncode == 0

    for command in ("list", "history"):
        done = xray("models", command)
        assert (done.returncode, done.stderr) == (0, "")
        assert "`xray train DATASET` makes the first" in done.stdout


def test_the_models_stand_in_a_table_with_a_header(settings: Settings) -> None:
    header, rule, row = xray("models", "list").stdout.splitlines()

    assert header.split("  ")[0] == "version"
    assert set(rule) == {"─"}
    assert row.startswith("0001-untrained")
    assert "champion" in row


def test_what_model_json_says_is_a_line_a_value_and_no_dictionary(settings: Settings) -> None:
    done = xray("models", "show", "0001-untrained")

    assert "{" not in done.stdout
    assert "version " in done.stdout


def test_a_word_that_is_no_architecture_gets_the_list_of_those_that_are(settings: Settings, tmp_path: Path) -> None:
    done = xray("train", str(tmp_path), "--architecture", "alexnet")

    assert done.returncode == 2
    assert "'alexnet' is not one of 'seed_cnn', 'vgg16', 'resnet50', 'xception'" in done.stderr


def test_a_word_that_is_no_remedy_gets_the_list_of_those_that_are(settings: Settings, tmp_path: Path) -> None:
    done = xray("train", str(tmp_path), "--remedy", "prayer")

    assert done.returncode == 2
    assert "'prayer' is not one of 'lung-crop', 'equalize', 'clahe', 'mask-markers', 'erase-border'" in done.stderr
    assert {remedy.value for remedy in Remedy} == set(RemedyWord) - {RemedyWord.ERASE_BORDER}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("study.toml", "[answers]\nfundng = 'x'\n"),
        ("retraining-policy.toml", "[trigger]\nnew_label = 3\n"),
    ],
)
def test_a_mistake_in_the_homes_own_files_is_told_before_the_ledger_learns_of_the_dataset(
    empty_settings: Settings, tmp_path: Path, name: str, content: str
) -> None:
    write_sample_set(tmp_path / "dataset", per_class=2, patients=2, seed=1, layout="classes")
    (empty_settings.home / name).write_text(content)

    done = xray("train", str(tmp_path / "dataset"))

    assert (done.returncode, done.stdout) == (2, "")
    assert f"{name}: " in done.stderr


def test_without_an_earlier_champion_a_rollback_says_no_with_a_reason(settings: Settings) -> None:
    done = xray("models", "rollback")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("xray: there is no earlier champion to go back to, ")


@pytest.mark.parametrize(("command", "key"), [("verify", "holds"), ("doctor", "findings")])
def test_facts_are_printed_for_programs_too(settings: Settings, command: str, key: str) -> None:
    done = xray(command, "--json")

    assert key in json.loads(done.stdout)
