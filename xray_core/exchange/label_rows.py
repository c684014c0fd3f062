"""Label rows as they were read, with every problem of theirs: all of them are taken or none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xray_core.errors import InvalidLabelsCsv, RefusedInput
from xray_core.exchange.csv_table import normal_text
from xray_core.exchange.records import LabelLine
from xray_core.records import Label, LabelProblem, escape_name
from xray_core.records import LabelProblemCode as Code

A_LABELS_CSV: Final = "a CSV with the columns filename,label, or a results CSV with its label column filled in"
_A_FOLDER = "a folder named after each label (covid, normal) with X-rays in it"


@dataclass(frozen=True, slots=True)
class ReadLabels:
    """The sound rows of a CSV or a folder, each once, and what is wrong with the others; `source` is its name."""

    source: str
    rows: tuple[LabelLine, ...]
    problems: tuple[LabelProblem, ...]

    def accept(self, problems: Sequence[LabelProblem | str] = (), *, fit: str = "") -> list[LabelLine]:
        """The rows; raises InvalidLabelsCsv with every problem, those given included, where there is one.

        `fit` says how many rows fit, in numbers alone.
        """
        if self.problems or problems:
            raise InvalidLabelsCsv(self.source, (*self.problems, *problems), fit)
        return list(self.rows)


def gather_rows(
    source: str, rows: Iterable[LabelLine], problems: Sequence[LabelProblem], nothing: str, *, numbered: bool
) -> ReadLabels:
    """The rows, each once; a label that contradicts an earlier one of its reader is a problem, as is no row at all."""
    said: dict[tuple[str, str | None], LabelLine] = {}
    kept: dict[tuple[object, ...], LabelLine] = {}
    found: list[LabelProblem] = list(problems)
    for row in rows:
        first = said.setdefault((row.xray_sha256 or row.filename, row.labelled_by), row)
        if first.label is not row.label:
            earlier = f"{first.label} for {first.filename!r}" + (f" in line {first.line}" if numbered else "")
            received = f"{row.label} for {row.filename!r}, but {earlier}"
            line = row.line if numbered else None
            found.append(LabelProblem(line, Code.CONTRADICTION, received, "one label of one reader for one X-ray"))
        kept.setdefault((row.filename, row.xray_sha256, row.label, row.labelled_by, row.labelled_at), row)
    if not kept and not found:
        found.append(LabelProblem(None, Code.NO_LABELS, nothing, A_LABELS_CSV if numbered else _A_FOLDER))
    found.sort(key=lambda problem: problem.line or 0)
    return ReadLabels(source, tuple(kept.values()), tuple(found))


def read_mapping(mapping: Mapping[str, str]) -> dict[str, Label]:
    """Every accepted word, in lower case, with its label.

    Raises RefusedInput for a target that is no label, and for a label's own word that would mean another one.
    """
    words = {label.value: label for label in Label}
    for word, target in mapping.items():
        label, own = words.get(normal_text(target)), normal_text(word)
        if label is None or label.value != normal_text(target):
            raise RefusedInput(f"map {word}={target}: received {target!r}; expected one of {', '.join(Label)}")
        if not own or (own in set(Label) and own != label.value):
            raise RefusedInput(f"map {word}={target}: received the word {word!r}; expected one that is no label itself")
        words[own] = label
    return words


def own_word(word: str, label: Label) -> str | None:
    """A word that is a site's own, None where it is the label's."""
    return None if word == label.value else word


def name_words(words: Mapping[str, Label]) -> str:
    """What is accepted as a label."""
    return f"{', '.join(sorted(words))}; or say what it means, here by --map WORD=other or for good in label-words.toml"


def quote(path: Path) -> str:
    """A file's name as it can be printed."""
    return repr(escape_name(os.fsencode(path.name)))
