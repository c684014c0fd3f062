"""Settings come from the environment alone, and a wrong one is a sentence."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from flows.setting_values import takes_json
from flows.settings import SETTINGS, Settings, find_unknown_variables, read_settings
from xray_core.errors import RefusedInput
from xray_core.records import Label, PatientSource


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
    [
        ("XRAY_BATCH_SIZE", "0"),
        ("XRAY_PREVALENCE", "1.5"),
        ("XRAY_PREVALENCE", "nan"),
        ("XRAY_SETTLE_SECONDS", "soon"),
        ("XRAY_WORKERS", "-1"),
        ("XRAY_WORKERS", ""),
        ("XRAY_PATIENT_FROM", ""),
        ("XRAY_DEFER_HOURS", "inf"),
        ("XRAY_DEFER_HOURS", "1e300"),
        ("XRAY_LEASE_SECONDS", "inf"),
        ("XRAY_LEASE_SECONDS", "1e300"),
        ("XRAY_DECODE_SECONDS", "inf"),
        ("XRAY_DECODE_MIB", "99999999999999999999"),
    ],
)
def test_a_wrong_value_is_refused_naming_the_variable_and_what_it_received(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(RefusedInput, match=rf"{name}: received '{value}'"):
        read_settings()


def test_settings_do_not_change_after_they_were_read() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().batch_size = 1  # type: ignore[misc]


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


@pytest.mark.parametrize("name", ["XRAY_INCOMING", "XRAY_ARCHIVE_DIR"])
@pytest.mark.parametrize("address", ["s3:/films", "S3://films/in", "gs:/films/in", "https://films/in"])
def test_a_mistyped_address_of_a_bucket_is_never_taken_for_a_folder(
    monkeypatch: pytest.MonkeyPatch, name: str, address: str
) -> None:
    monkeypatch.setenv(name, address)

    with pytest.raises(
        RefusedInput, match=rf"{name}: received '{address}'; .*expected a folder, or s3://BUCKET/PREFIX"
    ):
        read_settings()


@pytest.mark.parametrize("below", ["", "/home", "/a/home"])
def test_a_home_that_is_a_file_or_lies_below_one_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, below: str
) -> None:
    (tmp_path / "labels.csv").touch()
    monkeypatch.setenv("XRAY_HOME", f"{tmp_path}/labels.csv{below}")

    with pytest.raises(RefusedInput, match=r"XRAY_HOME: .*/labels\.csv is a file; expected a folder"):
        read_settings()


@pytest.mark.parametrize("word", ["", " "])
@pytest.mark.parametrize(
    "name",
    [
        "XRAY_HOME",
        "XRAY_INCOMING",
        "XRAY_ARCHIVE_DIR",
        "XRAY_ENV_FILE",
        "XRAY_RETRAINING_POLICY",
        "XRAY_DATABASE_URL",
    ],
)
def test_an_empty_path_is_a_mistake(monkeypatch: pytest.MonkeyPatch, name: str, word: str) -> None:
    monkeypatch.setenv(name, word)

    with pytest.raises(RefusedInput, match=f"{name}: received an empty word"):
        read_settings()


def test_an_empty_database_url_in_the_settings_file_does_not_become_a_new_ledger_in_silence(tmp_path: Path) -> None:
    (tmp_path / "xray-home").mkdir()
    (tmp_path / "xray-home" / ".env").write_text("XRAY_DATABASE_URL=\n")

    with pytest.raises(RefusedInput, match="XRAY_DATABASE_URL: received an empty word"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "value", "example"),
    [
        ("XRAY_CLASS_NAMES", "covid", r"XRAY_CLASS_NAMES='\{\"COVID-19\": \"covid\"'"),
        ("XRAY_CLASS_NAMES", "{", r"XRAY_CLASS_NAMES='\{\"COVID-19\": \"covid\"'"),
        ("XRAY_CLASS_NAMES", "", r"XRAY_CLASS_NAMES='\{\"COVID-19\": \"covid\"'"),
        ("XRAY_CHEST_WORDS", "thorax", r"XRAY_CHEST_WORDS='\[\"CHEST PA\"\]'"),
    ],
)
def test_a_setting_that_takes_json_says_so_by_its_own_name_with_an_example(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, example: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(RefusedInput, match=f"^{name}: received '{value}'; expected JSON, as in {example[:-1]}"):
        read_settings()


def test_every_setting_that_takes_json_has_its_sentence_and_example(monkeypatch: pytest.MonkeyPatch) -> None:
    taking_json = {name for name, setting in SETTINGS.items() if takes_json(setting.type)}
    for name in taking_json:
        monkeypatch.setenv(f"XRAY_{name.upper()}", "no JSON")

    with pytest.raises(RefusedInput) as refused:
        read_settings()

    lines = str(refused.value).splitlines()
    assert {line.partition(":")[0] for line in lines} == {f"XRAY_{name.upper()}" for name in taking_json}
    assert all("; expected JSON, as in XRAY_" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("XRAY_WORKERS", "65", "expected a whole number, at least 1 and at most 64"),
        ("XRAY_PREVALENCE", "1", "expected a number, above 0 and below 1"),
        ("XRAY_PREVALENCE", "null", "expected a number, above 0 and below 1"),
        ("XRAY_RETRAIN_AFTER", "2.5", "expected a whole number, at least 1"),
        ("XRAY_SHADOW", "perhaps", "expected true or false"),
        ("XRAY_PATIENT_FROM", "header", "expected sidecar or folder"),
    ],
)
def test_a_wrong_value_is_told_what_its_setting_takes(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(RefusedInput, match=f"^{name}: received '{value}'; {words}$"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("XRAY_SHADOW", "on", True),
        ("XRAY_SHADOW", "1", True),
        ("XRAY_FILE_NAMES_IN_EXPORTS", "No", False),
        ("XRAY_BATCH_SIZE", " 7 ", 7),
        ("XRAY_BATCH_SIZE", "7.0", 7),
        ("XRAY_SETTLE_SECONDS", "1e1", 10.0),
        ("XRAY_RETRAIN_AFTER", "20", 20),
        ("XRAY_PREVALENCE", "0.1", 0.1),
        ("XRAY_PATIENT_FROM", "folder", PatientSource.FOLDER),
        ("XRAY_CHEST_WORDS", '["CHEST PA"]', ("CHEST PA",)),
    ],
)
def test_words_become_values(monkeypatch: pytest.MonkeyPatch, name: str, value: str, taken: object) -> None:
    monkeypatch.setenv(name, value)

    assert getattr(read_settings(), name.removeprefix("XRAY_").lower()) == taken


def test_every_wrong_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XRAY_WORKERS", "0")
    monkeypatch.setenv("XRAY_BATCH_SIZE", "none")

    with pytest.raises(RefusedInput, match=r"(?s)XRAY_BATCH_SIZE: .*\nXRAY_WORKERS: "):
        read_settings()


def test_what_a_settings_file_refers_to_stands_for_its_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "xray-home").mkdir()
    (tmp_path / "xray-home" / ".env").write_text("XRAY_INCOMING=${FILMS}/in\n")
    monkeypatch.setenv("FILMS", "/films")

    assert read_settings().incoming == Path("/films/in")


def test_another_process_reads_the_same_from_the_words_of_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Settings(
        home=tmp_path / 'a "home"',
        settle_seconds=0,
        chest_words=("Brust ä",),
        class_names={"No Finding": "normal"},
        patient_from=PatientSource.FOLDER,
        prevalence=0.2,
        shadow=True,
    )
    for name, words in said.in_words().items():
        monkeypatch.setenv(name, words)

    assert read_settings() == said
    assert pickle.loads(pickle.dumps(said)) == said  # noqa: S301 (our own)


def test_what_is_no_setting_cannot_be_given(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="no settings: batchsize"):
        Settings(home=tmp_path, batchsize=1)


@pytest.mark.parametrize("value", ["mailto://a:hunter2@example.org", '"hunter2"', '[["hunter2"]]'])
def test_addresses_that_are_no_json_list_are_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("XRAY_NOTIFY", value)

    with pytest.raises(RefusedInput, match=r"^XRAY_NOTIFY: received a value that is not shown") as refused:
        read_settings()

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("value", ['{"a": "b"}', "[]", '""', "{}", '{"a": 1}', "1"])
def test_json_of_another_shape_is_refused_naming_the_variable(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("XRAY_CLASS_NAMES", value)

    with pytest.raises(RefusedInput, match=r"^XRAY_CLASS_NAMES: received "):
        read_settings()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"XRAY_WORKERS=2\nnonsense\n", r"\.env, line 2: cannot be read; expected NAME=VALUE"),
        (b'XRAY_WORKERS="2\n', r"\.env, line 1: cannot be read; expected NAME=VALUE"),
        (b"XRAY_WORKERS=2\n\xff\xfe=3\n", r"\.env: byte 16 is no UTF-8"),
    ],
)
def test_a_settings_file_that_cannot_be_read_is_refused_by_its_line(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "xray-home").mkdir()
    (tmp_path / "xray-home" / ".env").write_bytes(content)

    with pytest.raises(RefusedInput, match=words):
        read_settings()


def test_a_variable_that_is_no_setting_is_named_with_the_one_that_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xray-home").mkdir()
    (tmp_path / "xray-home" / ".env").write_text("XRAY_BACH_SIZE=7\nOTHERS=1\n")
    monkeypatch.setenv("XRAY_NONSENSE", "1")
    monkeypatch.setenv("XRAY_TEST_FILMS", "/films")

    assert find_unknown_variables() == [
        "XRAY_BACH_SIZE: is no setting and has no effect; is XRAY_BATCH_SIZE meant?",
        "XRAY_NONSENSE: is no setting and has no effect; docs/settings.md lists them all",
    ]
