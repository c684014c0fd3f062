"""Markdown as one self-contained HTML page: pictures inside, no script, no link out, fit for printing."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from xray_core.report.markdown import TEMPLATES

# In pixels: among plots of one height a higher one would be too small to read.
_TALL = 1400
# A figure with its interval stays on one line.
_FIGURE = re.compile(r"-?[\d.]+ \(-?[\d.]+ to -?[\d.]+\)")
_NO_WAY_OUT = ["link", "autolink", "reference", "html_block", "html_inline"]


class _Section(NamedTuple):
    title: str
    body: Markup


def render_page(markdown: str, pictures: Mapping[str, bytes]) -> str:
    """The Markdown of a card as HTML; `pictures` are PNGs by the names that it uses, and no other is shown."""
    parser = MarkdownIt("commonmark", {"html": False, "xhtmlOut": False}).enable("table").disable(_NO_WAY_OUT)
    tokens = parser.parse(markdown)
    _mark_tables(tokens)
    _frame_pictures(tokens)
    _embed_pictures(tokens, pictures)
    parts = [
        _Section(title, Markup(parser.renderer.render(part, parser.options, {})))  # noqa: S704
        for title, part in _split(tokens)
    ]
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    style = Markup((TEMPLATES / "page.css").read_text(encoding="utf-8"))  # noqa: S704 our own file
    opening, *sections, footer = parts
    return environment.get_template("page.html.j2").render(
        title=opening.title, opening=opening.body, sections=sections, footer=footer.body, style=style
    )


def _split(tokens: Sequence[Token]) -> Iterator[tuple[str, list[Token]]]:
    """The opening, each section and what stands under the line, with their titles as plain text."""
    starts = [place for place, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2"]
    line = next(place for place, token in enumerate(tokens) if token.type == "hr")
    for start, end in pairwise([0, *starts, line]):
        title = "".join(child.content for child in tokens[start + 1].children or [])
        yield title, list(tokens[start:end])
    yield "", list(tokens[line + 1 :])


def _mark_tables(tokens: Sequence[Token]) -> None:
    """The first cell of a row names it; the others carry the name of their column, for narrow screens."""
    column, names = 0, list[str]()
    for place, token in enumerate(tokens):
        if token.type == "table_open":
            names = []
        elif token.type == "tr_open":
            column = 0
        elif token.type == "th_open":
            token.attrSet("scope", "col")
            names.append("".join(child.content for child in tokens[place + 1].children or []))
        elif token.type == "td_open":
            if not column:
                token.tag = tokens[place + 2].tag = "th"
                token.attrSet("scope", "row")
            else:
                token.attrSet("data-label", names[column])
                if _FIGURE.fullmatch(tokens[place + 1].content):
                    token.attrSet("class", "figure")
            column += 1


def _frame_pictures(tokens: list[Token]) -> None:
    """A paragraph that is a picture and the one after it become a figure with its caption."""
    for place, token in enumerate(tokens[:-4]):
        if token.type == "inline" and [child.type for child in token.children or []] == ["image"]:
            tokens[place - 1].tag = tokens[place + 1].tag = "figure"
            tokens[place + 2].tag = tokens[place + 4].tag = "figcaption"
            tokens[place + 1 : place + 5] = [*tokens[place + 2 : place + 5], tokens[place + 1]]


def _embed_pictures(tokens: Sequence[Token], pictures: Mapping[str, bytes]) -> None:
    """A picture that is not ours stays a word."""
    for token in (child for parent in tokens for child in parent.children or [] if child.type == "image"):
        png = pictures.get(str(token.attrs["src"]))
        if png is None:
            token.type = "text"
        else:
            token.attrs["src"] = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
            (height,) = struct.unpack(">I", png[20:24])  # of its first chunk, IHDR
            if height > _TALL:
                token.attrs["class"] = "tall"
