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


def test_the_home_s_dot_env_file_is_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xray-home").mkdir()
    (tmp_path / "xray-home" / ".env").write_text("XRAY_BATCH_SIZE=7\nXRAY_SETTLE_SECONDS=1\n")
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


def test_a_dot_env_file_of_the_current_folder_is_not_obeyed(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("XRAY_BATCH_SIZE=7\nXRAY_HOME=/somewhere/else\n")

    settings = read_settings()

    assert (settings.batch_size, settings.home, settings.env_file) == (64, tmp_path / "xray-home", None)


def test_a_settings_file_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "service.env").write_text("XRAY_BATCH_SIZE=7\nXRAY_HOME=/data/xray\n")
    monkeypatch.setenv("XRAY_ENV_FILE", "service.env")

    settings = read_settings()

    assert (settings.batch_size, settings.home) == (7, Path("/data/xray"))
    assert settings.env_file == tmp_path / "service.env"
    monkeypatch.setenv("XRAY_ENV_FILE", "nowhere.env")
    with pytest.raises(RefusedInput, match="XRAY_ENV_FILE: there is no file"):
        read_settings()


def test_a_home_s_own_file_cannot_send_us_to_another_home(tmp_path: Path) -> None:
    (tmp_path / "xray-home").mkdir()
    (tmp_path / "xray-home" / ".env").write_text("XRAY_HOME=/somewhere/else\n")

    with pytest.raises(RefusedInput, match="names another home, /somewhere/else"):
        read_settings()


@pytest.mark.parametrize("name", ["XRAY_HOME", "XRAY_INCOMING", "XRAY_ARCHIVE_DIR", "XRAY_ENV_FILE"])
def test_an_empty_path_is_a_mistake(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")

    with pytest.raises(RefusedInput, match=f"{name}: received an empty word"):
        read_settings()
