"""Settings come from the environment alone, and a wrong one is a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.settings import Settings, read_settings
from xray_core.errors import RefusedInput
from xray_core.records import Label


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_everything_lives_in_the_home_unless_told_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XRAY_HOME", "somewhere")

    settings = read_settings()

    assert settings.incoming_dir == tmp_path / "somewhere/incoming"
    assert settings.url == f"sqlite:///{tmp_path}/somewhere/xray.db"


def test_a_dot_env_file_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("XRAY_BATCH_SIZE=7\nXRAY_SETTLE_SECONDS=1\n")
    monkeypatch.setenv("XRAY_SETTLE_SECONDS", "2")

    settings = read_settings()

    assert (settings.batch_size, settings.settle_seconds) == (7, 2)


def test_class_names_map_reader_words_to_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XRAY_CLASS_NAMES", '{"COVID": "covid", "No Finding": "normal"}')

    assert read_settings().class_names == {"COVID": Label.COVID, "No Finding": Label.NORMAL}


@pytest.mark.parametrize(
    ("name", "value"),
    [("XRAY_BATCH_SIZE", "0"), ("XRAY_PREVALENCE", "1.5"), ("XRAY_SETTLE_SECONDS", "soon"), ("XRAY_WORKERS", "-1")],
)
def test_a_wrong_value_is_refused_naming_the_variable_and_what_it_received(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(RefusedInput, match=rf"{name}: received '{value}'"):
        read_settings()


def test_settings_do_not_change_after_they_were_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().batch_size = 1
