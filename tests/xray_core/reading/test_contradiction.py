"""When an import contradicts so much that a person must look."""

from __future__ import annotations

import pytest

from xray_core.reading.contradiction import find_contradicted, hold_contradicting
from xray_core.records import Label, LabelProblemCode

KNOWN = {place: Label.COVID if place % 2 else Label.NORMAL for place in range(40)}


def contradict(count: int, *, of: int = 40) -> dict[int, Label]:
    """Labels of the first films, so many of them the opposite of what is known."""
    other = {Label.COVID: Label.NORMAL, Label.NORMAL: Label.COVID}
    return {place: other[KNOWN[place]] if place < count else KNOWN[place] for place in range(of)}


@pytest.mark.parametrize(
    ("count", "of", "held"), [(40, 40, True), (9, 40, True), (8, 40, False), (4, 4, False), (5, 5, True)]
)
def test_more_than_a_fifth_of_its_films_is_held_unless_it_is_a_handful(count: int, of: int, held: bool) -> None:
    given = contradict(count, of=of)

    problems = hold_contradicting(KNOWN, given)

    assert find_contradicted(KNOWN, given) == count
    assert [problem.code for problem in problems] == [LabelProblemCode.CONTRADICTS_KNOWN] * held


def test_what_is_not_known_or_no_class_contradicts_nothing() -> None:
    unknown = dict.fromkeys(range(100, 140), Label.COVID)
    unsure = dict.fromkeys(KNOWN, Label.UNSURE)

    assert hold_contradicting(KNOWN, unknown) == []
    assert hold_contradicting(KNOWN, unsure) == []
    assert hold_contradicting(unsure, KNOWN) == []


@pytest.mark.parametrize(("known", "given"), [(Label.NORMAL, Label.OTHER), (Label.OTHER, Label.NORMAL)])
def test_normal_and_other_do_not_contradict_each_other_for_both_are_not_covid(known: Label, given: Label) -> None:
    films = range(40)

    assert hold_contradicting(dict.fromkeys(films, known), dict.fromkeys(films, given)) == []
    assert find_contradicted(dict.fromkeys(films, known), dict.fromkeys(films, Label.COVID)) == len(films)
    assert find_contradicted(dict.fromkeys(films, Label.COVID), dict.fromkeys(films, given)) == len(films)
