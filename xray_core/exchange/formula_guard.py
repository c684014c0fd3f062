"""Text that a spreadsheet must not take for a formula, and the way back."""

from __future__ import annotations

import re

# OWASP, "CSV Injection": = + - @ TAB CR, here with NUL, line feed and the full-width signs of East Asian
# spreadsheets; spaces and quotes before them are skipped by some programs.
_DANGEROUS = re.compile(r"[\s\"'\ufeff]*[=+\-@\t\r\n\0＝＋－＠]")


def guard_text(text: str) -> str:
    """The text with a ' before it when a spreadsheet could run it, else as it is. `unguard_text` is the way back."""
    return f"'{text}" if _DANGEROUS.match(text) else text


def unguard_text(text: str) -> str:
    """What `guard_text` was given. A ' that no guard put there stays."""
    return text[1:] if text.startswith("'") and _DANGEROUS.match(text[1:]) else text
