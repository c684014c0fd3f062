"""Who settles a disputed film."""

from __future__ import annotations

from dataclasses import replace

from xray_core.reading.adjudication import Disputes, find_disputes, list_opinions
from xray_core.reading.records import Opinion, ReaderRole
from xray_core.records import Label

ANNA = Opinion("Anna", ReaderRole.READER, Label.COVID)
BEN = Opinion("ben", ReaderRole.READER, Label.NORMAL)
FILMS = {1: [ANNA, BEN], 2: [ANNA, replace(BEN, label=Label.COVID)], 3: [BEN]}


def test_a_third_reader_gets_the_disputed_films_alone() -> None:
    assert find_disputes(FILMS, "Cleo", ["Anna", "Ben", "Cleo"]) == Disputes((1,), (), 0, (), 0)


def test_one_of_the_two_adjudicates_nothing_while_there_is_a_third() -> None:
    assert find_disputes(FILMS, " ANNA", ["Anna", "Ben", "Cleo"]) == Disputes((), (), 1, ("Cleo",), 0)


def test_without_a_third_both_read_again_and_then_wait_for_each_other() -> None:
    assert find_disputes(FILMS, "Anna", ["Anna", "Ben"]).to_read_again == (1,)
    once = FILMS | {1: [ANNA, BEN, replace(ANNA, again=True)]}
    assert find_disputes(once, "Anna", ["Anna", "Ben"]) == Disputes((), (), 0, (), 1)
    assert find_disputes(once, "Ben", ["Anna", "Ben"]).to_read_again == (1,)
    twice = FILMS | {1: [ANNA, BEN, replace(ANNA, again=True), replace(BEN, again=True)]}
    assert find_disputes(twice, "Ben", ["Anna", "Ben"]) == Disputes((), (), 0, (), 0)


def test_opinions_stand_in_an_order_that_names_nobody() -> None:
    first = [list_opinions([ANNA, BEN], seed)[0].label for seed in range(200)]
    assert 60 < first.count(Label.COVID) < 140
    assert list_opinions([ANNA, BEN], 7) == list_opinions([BEN, ANNA], 7)
