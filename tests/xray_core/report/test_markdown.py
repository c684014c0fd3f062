from __future__ import annotations

import html
import re
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from xray_core.report.markdown import escape_markdown, open_markdown, render_markdown
from xray_core.report.page import render_page

_ANY = st.text(st.characters(codec="utf-8"), max_size=40) | st.text("\\`*_[]<>&#~|$!:/-+=.1) \n'\"http", max_size=40)


def render(markdown: str) -> str:
    return MarkdownIt("commonmark").enable("table").render(markdown)


@settings(deadline=None)
@given(_ANY)
@example("'=")
def test_any_value_is_itself_in_a_line_a_list_and_a_cell(text: str) -> None:
    template = open_markdown().from_string("{{ text }}\n\n* {{ text }}\n\n| a |\n| --- |\n| {{ text }} |\n")

    page = render(render_markdown(template, text=text))

    one_line = " ".join(text.split())
    wanted = "".join("\ufffd" if unicodedata.category(sign) in {"Cc", "Cf", "Cs"} else sign for sign in one_line)
    shown = [html.unescape(word) for word in re.findall(r"<(?:p|li|td)>(.*)</(?:p|li|td)>", page)]
    assert set(shown) <= {wanted} or set(shown) == {f"'{wanted}"}
    assert len(shown) == (3 if wanted else 2)  # an empty paragraph is none
    assert set(re.findall(r"<(\w+)", page)) <= {"p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "-cmd|' /C calc'!A0", "+cmd", "\t=1", "＝1"])
def test_what_a_spreadsheet_could_run_gets_a_quote(text: str) -> None:
    assert render(escape_markdown(text)).startswith("<p>'")


@pytest.mark.parametrize("text", ["-0.250 (-0.300 to 0.100)", "+0.120", ".5"])
def test_a_number_stays_a_number(text: str) -> None:
    assert render(escape_markdown(text)) == f"<p>{text}</p>\n"


def test_what_a_sentence_has_between_backticks_is_code_and_nothing_else_becomes_mark_up() -> None:
    template = open_markdown().from_string("{{ text|coded }}\n")

    def show(text: str) -> str:
        return render(render_markdown(template, text=text)).strip()

    assert show("ask `xray labels status`, key `trigger.new_labels`") == (
        "<p>ask <code>xray labels status</code>, key <code>trigger.new_labels</code></p>"
    )
    assert show("`<b>` *x* `y") == "<p>`&lt;b&gt;` *x* `y</p>"
    assert show("`a | b`") == "<p>`a | b`</p>"


def test_signs_that_hide_or_turn_text_are_seen() -> None:
    assert escape_markdown("a\u202eb\x07c\u200bd\ud800") == "a\ufffdb\ufffdc\ufffdd\ufffd"


def test_no_value_makes_a_link_or_asks_for_a_picture() -> None:
    page = render_page(
        "# t\n\n## s\n\n"
        "<http://a.example> [b](http://b.example) ![c](http://c.example/c.png) ![d](d.png)\n\n---\n\nf\n",
        {},
    )

    assert '<a href="#s1">' in page
    assert page.count("<a ") == 1
    assert "<img" not in page
