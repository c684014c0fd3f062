"""What programs are promised of `--json`: one schema a command, in docs/schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).parents[1] / "docs" / "schema"
_CHECKS = Draft202012Validator.FORMAT_CHECKER


def find_schema(words: Sequence[str]) -> Path:
    """The schema of a command line: of its first two words where there is one, else of its first."""
    by_two = SCHEMAS / f"{'-'.join(words[:2])}.json"
    return by_two if by_two.exists() else SCHEMAS / f"{words[0]}.json"


def check_output(words: Sequence[str], output: str) -> None:
    """Raise ValidationError where an output is not what its command's schema says."""
    named = words[2:] if words[0] == "--home" else words
    schema = json.loads(find_schema(named).read_text())
    Draft202012Validator(schema, format_checker=_CHECKS).validate(json.loads(output))
