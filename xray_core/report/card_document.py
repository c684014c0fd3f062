"""A document of a few kinds of block, as Markdown and as one self-contained HTML page."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that must be read before anything else on the page is believed."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header; the first cell of a row names it."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Text whose line breaks and spaces stand as they are: a layer table, a command."""

    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG: HTML carries it along, Markdown names the file beside it."""

    file: str
    caption: str
    png: bytes


Block = Paragraph | Alarm | Items | Table | Text | Picture


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under a heading."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A title, what is said before anything else, and the sections."""

    title: str
    opening: tuple[Block, ...]
    sections: tuple[Section, ...]
    footer: str


def to_markdown(document: Document) -> str:
    """The document as GitHub-flavoured Markdown; nothing in it is taken for mark-up or HTML."""
    parts = [f"# {_plain(document.title)}", *map(_block_to_markdown, document.opening)]
    for section in document.sections:
        parts += [f"## {_plain(section.title)}", *map(_block_to_markdown, section.blocks)]
    return "\n\n".join([*parts, "---", f"*{_plain(document.footer)}*"]) + "\n"


def to_html(document: Document) -> str:
    """The document as one HTML page: pictures inside, no script, no request to anywhere, fit for printing."""
    numbered = list(enumerate(document.sections, start=1))
    contents = "".join(f'<li><a href="#s{place}">{_safe(section.title)}</a></li>' for place, section in numbered)
    sections = "\n".join(
        f'<section id="s{place}"><h2>{_safe(section.title)}</h2>\n{_blocks_to_html(section.blocks)}</section>'
        for place, section in numbered
    )
    return _PAGE.format(
        title=_safe(document.title),
        style=_STYLE,
        opening=_blocks_to_html(document.opening),
        contents=contents,
        sections=sections,
        footer=_safe(document.footer),
    )


def _block_to_markdown(block: Block) -> str:
    match block:
        case Paragraph(text):
            return _plain(text)
        case Alarm(title, text):
            return f"> **{_plain(title)}**\n>\n> {_plain(text)}"
        case Items(lines):
            return "\n".join(f"* {_plain(line)}" for line in lines)
        case Table(header, rows):
            divider = "|".join(["", *(" --- " for _ in header), ""])
            return "\n".join([_row_to_markdown(header), divider, *map(_row_to_markdown, rows)])
        case Text(text):
            fence = "`" * (1 + max([2, *(len(run) for run in re.findall("`+", text))]))
            return f"{fence}text\n{text}\n{fence}"
        case Picture(file, caption, _):
            return f"![{_plain(caption)}]({file})\n\n*{_plain(caption)}*"


def _row_to_markdown(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in cells) + " |"


def _plain(text: str) -> str:
    r"""One line of text whose `* _ < [` and the like are themselves."""
    one_line = " ".join(text.split())
    escaped = re.sub(r"([\\`*_\[\]<>&#~])", r"\\\1", one_line)
    return re.sub(r"^([-+]|\d+[.)])(?=\s)", r"\\\1", escaped)


def _blocks_to_html(blocks: Sequence[Block]) -> str:
    return "\n".join(map(_block_to_html, blocks)) + "\n"


def _block_to_html(block: Block) -> str:
    match block:
        case Paragraph(text):
            return f"<p>{_safe(text)}</p>"
        case Alarm(title, text):
            return f'<div class="warning" role="alert"><strong>{_safe(title)}</strong><p>{_safe(text)}</p></div>'
        case Items(lines):
            return "<ul>" + "".join(f"<li>{_safe(line)}</li>" for line in lines) + "</ul>"
        case Table(header, rows):
            head = "".join(f'<th scope="col">{_safe(cell)}</th>' for cell in header)
            body = "\n".join(map(_row_to_html, rows))
            return f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
        case Text(text):
            return f"<pre>{_safe(text)}</pre>"
        case Picture(_, caption, png):
            source = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
            image = f'<img src="{source}" alt="{_safe(caption)}">'
            return f"<figure>{image}<figcaption>{_safe(caption)}</figcaption></figure>"


def _row_to_html(cells: Sequence[str]) -> str:
    first, *others = cells
    return f'<tr><th scope="row">{_safe(first)}</th>' + "".join(map(_cell_to_html, others)) + "</tr>"


def _cell_to_html(cell: str) -> str:
    """A figure with its interval stays on one line."""
    kept = ' class="figure"' if re.fullmatch(r"-?[\d.]+ \(-?[\d.]+ to -?[\d.]+\)", cell) else ""
    return f"<td{kept}>{_safe(cell)}</td>"


def _safe(text: str) -> str:
    return html.escape(text, quote=True)


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{title}</h1>
{opening}</header>
<nav aria-label="Contents"><ol>{contents}</ol></nav>
<main>
{sections}
</main>
<footer><p>{footer}</p></footer>
</body>
</html>
"""

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.55 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; color: #1c1c1c; background: #fff;
  max-width: 56rem; margin: 0 auto; padding: 1.5rem 1.25rem 3rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .75rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; padding-bottom: .25rem; border-bottom: 2px solid #0072b2; }
p { margin: .5rem 0; }
ul { margin: .5rem 0; padding-left: 1.3rem; }
nav { background: #f4f6f8; padding: .6rem 1rem; margin: 1.2rem 0; font-size: .9rem; }
nav ol { columns: 2; margin: 0; padding-left: 1.4rem; }
nav a { color: #00507d; }
.warning { border: 2px solid #b34700; border-left-width: 10px; background: #fff3ea; padding: .7rem 1rem;
  margin: .8rem 0; }
.warning strong { font-size: 1.08rem; color: #8a3600; }
table { border-collapse: collapse; margin: .8rem 0; width: 100%; font-size: .88rem; }
th, td { text-align: left; vertical-align: top; padding: .32rem .45rem; border-bottom: 1px solid #d9d9d9; }
thead th { background: #eef3f7; border-bottom: 2px solid #9db4c4; white-space: nowrap; }
tbody th { font-weight: 600; min-width: 8rem; overflow-wrap: anywhere; }
td.figure { white-space: nowrap; }
td { font-variant-numeric: tabular-nums; overflow-wrap: break-word; }
pre { background: #f6f6f6; padding: .7rem .9rem; overflow-x: auto; font-size: .82rem; line-height: 1.4; }
figure { margin: 1rem 0; break-inside: avoid; }
img { max-width: 100%; height: auto; border: 1px solid #e2e2e2; }
figcaption { font-size: .85rem; color: #555; }
footer { margin-top: 2.5rem; border-top: 1px solid #ccc; font-weight: 600; }
@media print { body { font-size: 10.5pt; max-width: none; padding: 0; } nav { display: none; }
  h2 { break-after: avoid; } tr { break-inside: avoid; } .warning { print-color-adjust: exact; }
  pre { white-space: pre-wrap; } }
"""
