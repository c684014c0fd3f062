"""The file that settings may stand in, and what is wrong with one, in words that people know."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from xray_core.errors import RefusedInput

# An empty one would be the current folder, or a database of the home's own where another was meant.
_NEVER_EMPTY = {
    "XRAY_HOME": "a path",
    "XRAY_ENV_FILE": "a path",
    "XRAY_INCOMING": "a path, or s3://BUCKET/PREFIX",
    "XRAY_ARCHIVE_DIR": "a path, or s3://BUCKET/PREFIX",
    "XRAY_RETRAINING_POLICY": "a path",
    "XRAY_DATABASE_URL": "a URL",
}
_MAY_NOT_LOOK = "this user may not read it; its owner decides who may look (docs/second-person.md)"
_JSON_SETTINGS = {
    "XRAY_CLASS_NAMES": '{"COVID-19": "covid", "NORMAL": "normal"}',
    "XRAY_CHEST_WORDS": '["CHEST PA"]',
    "XRAY_NOTIFY": '["mailto://USER:PASSWORD@example.org"]',
}
# Addresses hold passwords.
_SECRET = ("XRAY_NOTIFY",)


def find_settings_file(environment: Mapping[str, str]) -> Path | None:
    """The absolute path of the settings file, None where there is none. Raises RefusedInput."""
    if named := environment.get("XRAY_ENV_FILE", "").strip():
        file = Path(named).expanduser().absolute()
        if not file.is_file():
            raise RefusedInput(f"XRAY_ENV_FILE: there is no file {file}")
        return file
    file = Path(environment.get("XRAY_HOME", "xray-home")).expanduser().absolute() / ".env"
    try:
        return file if file.is_file() else None
    except PermissionError as error:
        raise RefusedInput(f"{file.parent}: {_MAY_NOT_LOOK}") from error


def read_given(environment: Mapping[str, str]) -> dict[str, str]:
    """Every variable that is set, in capitals, the environment over the file.

    Raises RefusedInput for a file with a line that cannot be read, and for an empty word where none can be meant.
    """
    file = find_settings_file(environment)
    given = _read_lines(file) if file else {}
    given |= {name.upper(): value for name, value in environment.items()}
    for name, expected in _NEVER_EMPTY.items():
        if name in given and not given[name].strip():
            raise RefusedInput(f"{name}: received an empty word; expected {expected}, or no {name} at all")
    return given


def expect_json(name: str) -> str:
    """What a variable that takes JSON expects, with an example."""
    return f"expected JSON, as in {name}='{_JSON_SETTINGS[name]}'"


def show_value(name: str, value: object) -> str:
    """What was received, for a sentence about it; never what may hold a password."""
    return "a value that is not shown, for it may hold a password" if name in _SECRET else repr(value)


def find_unknown(given: Iterable[str], known: set[str]) -> list[str]:
    """A sentence for every XRAY_ variable that is no setting and has no effect."""
    unknown = sorted({name for name in given if name.startswith("XRAY_") and name not in known})
    return [
        f"{name}: is no setting and has no effect; {_suggest(name, known)}"
        for name in unknown
        if not name.startswith("XRAY_TEST_")
    ]


def _read_lines(file: Path) -> dict[str, str]:
    try:
        text = file.read_bytes().decode().removeprefix("\ufeff")
    except PermissionError as error:
        raise RefusedInput(f"{file}: {_MAY_NOT_LOOK}") from error
    except UnicodeDecodeError as error:
        raise RefusedInput(f"{file}: byte {error.start + 1} is no UTF-8; save it as UTF-8 text") from error
    from dotenv import dotenv_values
    from dotenv.parser import parse_stream

    for line in parse_stream(io.StringIO(text)):
        if line.error or (line.key and line.value is None):
            raise RefusedInput(f"{file}, line {line.original.line}: cannot be read; expected NAME=VALUE")
    return {name.upper(): value or "" for name, value in dotenv_values(stream=io.StringIO(text)).items()}


def _suggest(name: str, known: set[str]) -> str:
    words = get_close_matches(name.removeprefix("XRAY_"), [word.removeprefix("XRAY_") for word in known], n=1)
    return f"is XRAY_{words[0]} meant?" if words else "docs/settings.md lists them all"
