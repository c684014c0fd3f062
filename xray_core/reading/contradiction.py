"""An import that says the opposite of what is known of many films: nobody's change of mind, but a mistake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from xray_core.records import Label, LabelProblem, LabelProblemCode

MOST_CONTRADICTED: Final = 0.20  # of an import's films
# A few films are somebody's second opinion, whatever their share.
_FEWEST: Final = 5


def find_contradicted(known: Mapping[int, Label], given: Mapping[int, Label]) -> int:
    """Of how many X-rays (by id) covid is given where normal or other is known, or the other way round. Pure.

    Normal and other are both not covid: what was read more finely contradicts nothing.
    """
    return sum(
        label.is_trainable
        and xray_id in known
        and known[xray_id].is_trainable
        and (known[xray_id] is Label.COVID) is not (label is Label.COVID)
        for xray_id, label in given.items()
    )


def hold_contradicting(known: Mapping[int, Label], given: Mapping[int, Label]) -> list[LabelProblem]:
    """Why an import waits for a person; nothing where it contradicts a fifth of its films at most, or hardly any. Pure.

    A file whose two labels were exchanged contradicts all that is known; two careful readers contradict each other on
    a few films in a hundred.
    """
    contradicted = find_contradicted(known, given)
    if contradicted < _FEWEST or contradicted <= MOST_CONTRADICTED * len(given):
        return []
    received = (
        f"the opposite of what is known here for {contradicted} of {len(given)} films ({contradicted / len(given):.0%})"
    )
    accepted = (
        f"that of at most {MOST_CONTRADICTED:.0%}: look whether covid and normal were exchanged; if the file is right, "
        "`xray labels import FILE --accept-contradictions`"
    )
    return [LabelProblem(None, LabelProblemCode.CONTRADICTS_KNOWN, received, accepted)]
