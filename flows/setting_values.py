"""From what was set to what a setting holds: words become numbers, paths, places; a wrong one is a ValueError."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import Field
from pathlib import Path
from types import NoneType
from typing import Any, Final, get_args

import msgspec

from flows.settings_file import expect_json, show_value
from xray_core.stores.address import is_bucket

# A bucket's address, a mistyped one too (`s3:/films`): never the name of a folder.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_YES, _NO = ("1", "true", "yes", "y", "on", "t"), ("0", "false", "no", "n", "off", "f")
_WORDS: Final = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def take_settings(settings: Mapping[str, Field[Any]], said: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Every setting's value, from what was said or its default; and a sentence for each that cannot be taken."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, setting in settings.items():
        value = said[name] if name in said else default_of(setting)
        try:
            if name in _TAKERS:
                values[name] = _TAKERS[name](value)
            else:
                values[name] = take_value(setting.type, value) if name in said else value
        except ValueError as error:
            problems.append(refuse_setting(setting, value, error))
    return values, problems


def default_of(setting: Field[Any]) -> Any:
    """What a setting is where nobody says anything."""
    default = setting.metadata["default"]
    return default() if callable(default) else default


def refuse_setting(setting: Field[Any], value: object, error: ValueError) -> str:
    """The sentence of a value that cannot be taken: what was received, and what is expected."""
    variable = f"XRAY_{setting.name.upper()}"
    wanted = expect_json(variable) if takes_json(setting.type) else str(error)
    return f"{variable}: received {show_value(variable, value)}; {wanted}"


def take_value(kind: Any, value: object) -> Any:
    """A value of this kind, from one or from the words that say it; lists and mappings are said as JSON.

    Raises ValueError that says what is expected.
    """
    try:
        if isinstance(value, str):
            return _read_words(kind, value)
        return msgspec.convert(value, kind)
    except ValueError as error:  # msgspec's own are such
        raise ValueError(f"expected {_say(kind)}") from error


def takes_json(kind: Any) -> bool:
    """Whether values of this kind are said as JSON."""
    return _plain(kind) in (dict, tuple)


def say_value(value: object) -> str:
    """The words that `take_value` takes for a value."""
    return str(value) if isinstance(value, str | Path) else msgspec.json.encode(value).decode()


def _read_words(kind: Any, words: str) -> Any:
    if takes_json(kind):
        return msgspec.json.decode(words, type=kind)
    if kind is bool:
        found = [word.casefold() == words.strip().casefold() for word in (*_YES, *_NO)]
        return found.index(True) < len(_YES)
    if _plain(kind) in (int, float):
        # Else `null`, a word of JSON, would be taken for none at all.
        number = next((one for one in get_args(kind) if one is not NoneType), kind) if _is_union(kind) else kind
        return msgspec.convert(words.strip(), number, strict=False)
    return msgspec.convert(words, kind)


def _is_union(kind: Any) -> bool:
    return NoneType in get_args(kind)


def _plain(kind: Any) -> Any:
    """The bare class of a kind: without bounds, without what is in it, and without the None that it may be."""
    while not isinstance(kind, type) or get_args(kind):
        parts = [part for part in get_args(kind) if part is not NoneType]
        kind = getattr(kind, "__origin__", parts[0]) if not _is_union(kind) else parts[0]
    return kind


def _say(kind: Any) -> str:
    """What a kind takes, in words: `a whole number, at least 1 and at most 64`."""
    plain = _plain(kind)
    if plain is bool:
        return "true or false"
    if plain not in (int, float):
        return " or ".join(plain) if hasattr(plain, "__members__") else "text"
    bounds = [
        f"{word} {limit:g}"
        for part in (kind, *get_args(kind))
        for meta in getattr(part, "__metadata__", ())
        for name, word in _WORDS.items()
        if (limit := getattr(meta, name)) is not None
    ]
    return ", ".join(filter(None, ("a whole number" if plain is int else "a number", " and ".join(bounds))))


def take_path(value: Any) -> Path | None:
    """An absolute path, or none."""
    return None if value is None else Path(value).expanduser().absolute()


def take_home(value: Any) -> Path:
    """The absolute path of a folder, or of one that can be made. Raises ValueError."""
    home = Path(value).expanduser().absolute()
    there = next((path for path in (home, *home.parents) if os.path.lexists(path)), home.parent)
    if not there.is_dir():
        raise ValueError(f"{there} is a file; expected a folder, or the name of a new one")
    return home


def take_place(value: Any) -> Path | str | None:
    """A folder's absolute path, or the address of a bucket, or none. Raises ValueError."""
    if value is None or (isinstance(value, str) and is_bucket(value)):
        return value and str(value).rstrip("/")
    if _ADDRESS.match(str(value)):
        raise ValueError("expected a folder, or s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX")
    return take_path(value)


def take_task_runner(value: Any) -> str:
    """A scheduler unpickles whatever it is sent, so only this machine may reach one without TLS. Raises ValueError."""
    scheme, separator, place = str(value).partition("://")
    host, _, port = place.rpartition(":")
    if value == "local" or (scheme == "dask+tls" and host and port.isdecimal()):
        return str(value)
    if not (scheme == "dask" and separator and host and port.isdecimal()):
        raise ValueError("expected local, dask://127.0.0.1:PORT or dask+tls://HOST:PORT")
    if host not in ("127.0.0.1", "localhost", "[::1]"):
        raise ValueError(
            "a Dask scheduler runs what anybody sends it: expected dask+tls://HOST:PORT for another machine"
        )
    return str(value)


# Settings of which more is asked than their kind says.
_TAKERS: Final[dict[str, Callable[[Any], Any]]] = {
    "home": take_home,
    "env_file": take_path,
    "retraining_policy": take_path,
    "incoming": take_place,
    "archive_dir": take_place,
    "task_runner": take_task_runner,
}
