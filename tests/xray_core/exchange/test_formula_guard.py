from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xray_core.exchange.formula_guard import guard_text, unguard_text


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\0=1",
        "\n=1",
        "  =1",
        "'=1",
        '"=1',
        " '\"=cmd|' /C calc'!A0",
        "＝1",
    ],
)
def test_what_a_spreadsheet_could_run_gets_an_apostrophe(text: str) -> None:
    assert guard_text(text) == f"'{text}"
    assert unguard_text(guard_text(text)) == text


@pytest.mark.parametrize("text", ["", "a.png", "xray-1.png", "'quoted", "1-2", "Müller", "a=b"])
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert guard_text(text) == text
    assert unguard_text(text) == text


@pytest.mark.lengthy
@given(st.text(st.sampled_from("'\" =+-@\t\r\n\0aä1"), max_size=8) | st.text())
def test_every_text_comes_back(text: str) -> None:
    assert unguard_text(guard_text(text)) == text
