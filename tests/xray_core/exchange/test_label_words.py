"""A site's own words for labels: read from a file, or refused in one sentence."""

from __future__ import annotations

import pytest

from flows.home.label_words import TEMPLATE
from xray_core.errors import RefusedInput
from xray_core.exchange.label_words import parse_label_words
from xray_core.records import Label


def test_words_are_known_in_any_case_and_spacing() -> None:
    words = parse_label_words(b'[words]\n"Viral  Pneumonia" = "Other"\n"COVID-19" = "covid"\n', "label-words.toml")

    assert words == {"viral pneumonia": Label.OTHER, "covid-19": Label.COVID}


def test_the_file_of_a_new_home_changes_nothing_and_its_examples_can_be_meant() -> None:
    assert parse_label_words(TEMPLATE.encode(), "label-words.toml") == {}
    used = TEMPLATE.replace('# "', '"').encode()
    assert set(parse_label_words(used, "label-words.toml").values()) == {
        Label.COVID,
        Label.NORMAL,
        Label.OTHER,
        Label.EXCLUDE,
    }


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('[words]\n"a" = "b"\n"b" = "a"\n', "received 'a' = 'b', itself a word of the file; expected one of covid"),
        ('[words]\n"a" = "b"\n"b" = "other"\n', "received 'a' = 'b', itself a word of the file"),
        ('[words]\n"TB" = "other"\n"tb" = "normal"\n', "received 'tb' a second time, in another case or spacing"),
        ('[words]\n"a" = "other"\n"a" = "other"\n', "not TOML in UTF-8"),
        ('[words]\n"a" = "ill"\n', "received 'ill'; expected one of covid, normal, unsure, exclude, other"),
        ('[words]\n"normal" = "covid"\n', "expected one that is no label itself"),
        ('[words]\n"a" = 1\n', "received 'a' = 1; expected one of"),
        ('"a" = "other"\n', "received 'a'; expected [words] and nothing else"),
        ("words = 3\n", "received 'words'; expected [words] and nothing else"),
        ("\ufeff[[", "not TOML in UTF-8"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(content: str, sentence: str) -> None:
    with pytest.raises(RefusedInput) as refused:
        parse_label_words(content.encode(), "label-words.toml")

    assert str(refused.value).startswith("label-words.toml: ")
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_of_no_text_is_refused() -> None:
    with pytest.raises(RefusedInput, match="not TOML in UTF-8"):
        parse_label_words(b"\xff\xfe", "label-words.toml")
