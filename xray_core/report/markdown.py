"""Markdown from a template: every value is escaped, so that nothing in it is taken for mark-up, HTML or a formula."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from xray_core.exchange.formula_guard import guard_text

TEMPLATES: Final = Path(__file__).parent / "templates"

_SPECIAL = re.compile(r"([\\`*_\[\]<>&#~|$])")
_FIRST = re.compile(r"^([-+=:]|\d+(?=[.)](\s|$)))")
_NUMBER = re.compile(r"[-+]?[\d.]")
_CODE = re.compile(r"\\`((?:\\_|[A-Za-z0-9 ./=-])+)\\`")  # after escaping


def open_markdown() -> Environment:
    """Templates whose every `{{ value }}` is escaped unless a macro or a filter made Markdown of it (`Markup`).

    The filter `fenced` keeps the line breaks of commands; `coded` sets as code what a sentence has between backticks.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"fenced": _fence, "coded": _set_code}
    return environment


def render_markdown(template: Template, **values: object) -> str:
    """The template with these values, blank lines at most one in a row."""
    return re.sub(r"\n{3,}", "\n\n", template.render(**values))


def escape_markdown(text: str) -> str:
    r"""One line of text whose `* _ < | $` and the like are themselves, in a paragraph and in a cell of a table.

    A control character or one that turns the direction of writing becomes U+FFFD. What a spreadsheet could run gets
    a ' before it, as in the CSVs.
    """
    line = "".join(
        "\ufffd" if unicodedata.category(sign) in {"Cc", "Cf", "Cs"} else sign for sign in " ".join(text.split())
    )
    guarded = line if _NUMBER.match(line) else guard_text(line)
    escaped = _SPECIAL.sub(r"\\\1", guarded).replace("://", "\\://")
    return _FIRST.sub(lambda start: f"\\{start[0]}" if not start[0].isdigit() else f"{start[0]}\\", escaped)


def _escape(value: object) -> Markup:
    return value if isinstance(value, Markup) else Markup(escape_markdown(str(value)))  # noqa: S704 escaped here


def _set_code(value: object) -> Markup:
    """A sentence with its commands and keys as code: letters, digits and the signs of a command, nothing else."""
    escaped = escape_markdown(str(value))
    return Markup(_CODE.sub(lambda code: f"`{code[1]}`".replace("\\_", "_"), escaped))  # noqa: S704 escaped here


def _fence(lines: Sequence[str]) -> Markup:
    """Text whose line breaks and spaces stand as they are: commands."""
    kept = ["".join(" " if unicodedata.category(sign) == "Cc" else sign for sign in line) for line in lines]
    text = "\n".join(kept)
    fence = "`" * (1 + max([2, *(len(run) for run in re.findall("`+", text))]))
    return Markup(f"{fence}text\n{text}\n{fence}")  # noqa: S704 no run of backticks in it is as long as the fence
