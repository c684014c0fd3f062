"""A site's own words for labels, written down once: `label-words.toml` of the home."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping

from xray_core.errors import RefusedInput
from xray_core.exchange.csv_table import normal_text
from xray_core.exchange.label_rows import read_mapping
from xray_core.records import Label

_TABLE = "words"


def parse_label_words(content: bytes, file: str) -> dict[str, Label]:
    """The words of a file of lines `"Viral Pneumonia" = "other"` below `[words]`, each with its label.

    Raises RefusedInput, naming `file`, for what is no such file, a word that is there twice in another case or spacing,
    a target that is no label (another word of the file, say), and a label's own word that would mean another one.
    """
    try:
        written = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refuse(
            file, f"not TOML in UTF-8 ({error})", 'lines as "Viral Pneumonia" = "other" below [words]'
        ) from error
    words = written.get(_TABLE, {})
    if set(written) - {_TABLE} or not isinstance(words, dict):
        raise _refuse(file, f"{', '.join(map(repr, written))}", "[words] and nothing else")
    return _check(words, file)


def _check(words: Mapping[str, object], file: str) -> dict[str, Label]:
    checked: dict[str, Label] = {}
    for word, target in words.items():
        own = normal_text(word)
        if not isinstance(target, str):
            raise _refuse(file, f"{word!r} = {target!r}", f"one of {', '.join(Label)} in quotes")
        if own in checked:
            raise _refuse(file, f"{word!r} a second time, in another case or spacing", "each word once")
        if normal_text(target) not in set(Label) and normal_text(target) in set(map(normal_text, words)):
            raise _refuse(file, f"{word!r} = {target!r}, itself a word of the file", f"one of {', '.join(Label)}")
        try:
            checked[own] = read_mapping({word: target})[own]
        except RefusedInput as refusal:
            raise RefusedInput(f"{file}: {refusal}", public=True) from refusal
    return checked


def _refuse(file: str, received: str, expected: str) -> RefusedInput:
    return RefusedInput(f"{file}: received {received}; expected {expected}", public=True)
