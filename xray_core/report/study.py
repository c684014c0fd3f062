"""What a team says of its study on the model card: answers, limits, and notes on the places that films come from."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from xray_core.errors import RefusedInput

STUDY_FILE: Final = "study.toml"
_QUESTIONS = Path(__file__).parent / "templates" / "questions.toml"
_LONGEST = 2000  # characters
_OPENING = """\
# What the model card says of this study and the service cannot know. Fill in what is so and take away the # before it;
# the next training puts it onto its card, word for word. What stays empty the card calls unknown. It is printed and
# passed on: name no patient here.

# Limits of the study, in a sentence each; they join the card's own.
limits = [
    # "Portable films only: nothing is known of films taken standing.",
]

# Of a place that films come from (the column source of a dataset), what a reader should know.
[notes]
# "siteB" = "films of 2021 from its emergency room; every label by PCR"

[answers]
"""


@dataclass(frozen=True, slots=True)
class Study:
    """A team's own words: answers by the key of the question, limits as sentences, notes by the name of a source."""

    answers: Mapping[str, str] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    def answer_with(self, known: Mapping[str, str]) -> dict[str, str]:
        """Its answers, and after each what the ledger knows of the same; neither hides the other."""
        keys = self.answers.keys() | known.keys()
        told = {key: (self.answers.get(key), known.get(key)) for key in keys}
        return {
            key: f"{own} By the ledger: {ledger}" if own and ledger else own or ledger or ""
            for key, (own, ledger) in told.items()
        }


def read_questions() -> dict[str, str]:
    """What a reader should ask and the service cannot know: questions by the key of a team's answer."""
    questions: dict[str, str] = tomllib.loads(_QUESTIONS.read_text(encoding="utf-8"))
    return questions


def write_empty_study() -> str:
    """The file with every question and no answer, as `xray init` lays it out."""
    return _OPENING + "\n".join(f'# {question}\n# {key} = ""\n' for key, question in read_questions().items())


def parse_study(content: bytes) -> Study:
    """A study file. Raises RefusedInput for what is none, and for a key that asks nothing, which would be lost."""
    try:
        written = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refuse(f"not TOML in UTF-8 ({error})", 'lines as setting = "..." below [answers]') from error
    if unknown := written.keys() - {"answers", "limits", "notes"}:
        raise _refuse(", ".join(map(repr, sorted(unknown))), "limits, [notes] and [answers]")
    limits = written.get("limits", [])
    if not isinstance(limits, list) or not all(_is_said(limit) for limit in limits):
        raise _refuse(
            "limits that are no list of sentences", f'limits = ["...", "..."], each up to {_LONGEST} characters'
        )
    answers = _read_table(written, "answers")
    if strange := answers.keys() - read_questions().keys():
        raise _refuse(f"the answer {min(strange)!r}", f"{', '.join(read_questions())}")
    return Study(answers, tuple(limit.strip() for limit in limits if limit.strip()), _read_table(written, "notes"))


def _read_table(written: Mapping[str, object], name: str) -> dict[str, str]:
    table = written.get(name, {})
    if not isinstance(table, dict):
        raise _refuse(f"{name} that is no table", f'lines as NAME = "..." below [{name}]')
    for key, said in table.items():
        if not _is_said(said):
            raise _refuse(f"{name}.{key} that is no text", f"one in quotes, up to {_LONGEST} characters")
    return {key: said.strip() for key, said in table.items() if said.strip()}


def _is_said(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST


def _refuse(received: str, expected: str) -> RefusedInput:
    return RefusedInput(f"{STUDY_FILE}: received {received}; expected {expected}", public=True)
