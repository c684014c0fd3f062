"""Cells that no spreadsheet takes for a formula, and the way back."""

from __future__ import annotations

import re

# What Excel, LibreOffice and Google Sheets may start a formula with, also behind white space or a quote.
_DANGEROUS = re.compile(r"^[\s\"'\x00]*[=+\-@\t\r\n\x00]")


def make_safe(text: str) -> str:
    """The text with an apostrophe in front where a spreadsheet might run it (OWASP, CSV injection).

    A text that already starts with an apostrophe gets another one, so that `make_plain` gives back every text.
    """
    return f"'{text}" if _DANGEROUS.match(text) or text.startswith("'") else text


def make_plain(cell: str) -> str:
    """What `make_safe` was given; a cell that a person typed stays as it is."""
    return cell[1:] if cell.startswith("'") and make_safe(cell[1:]) == cell else cell
