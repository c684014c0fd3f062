from __future__ import annotations

from dataclasses import replace

import pytest

from xray_core.promotion.policy import LabelRules, OtherLabel
from xray_core.reading.records import LabelSource, ListReason, Opinion, ReaderRole
from xray_core.reading.settled import Settlement, count_settlements, find_settled, settle, settle_label
from xray_core.records import Held, Label, Reference, Standard

ADJUDICATOR = ReaderRole.ADJUDICATOR
RULES = LabelRules()


def say(
    reader: str | None, label: Label, *, role: ReaderRole = ReaderRole.READER, seen: bool | None = False
) -> Opinion:
    return Opinion(reader, role, label, LabelSource.CSV, seen)


A_COVID, B_COVID, B_NORMAL = say("Reader A", Label.COVID), say("B", Label.COVID), say("B", Label.NORMAL)
A_SAW = say("Reader A", Label.COVID, seen=True)
DATASET = Opinion(None, ReaderRole.READER, Label.COVID, LabelSource.DATASET)
A_DOUBTED, A_DRAWN = (replace(A_COVID, chosen_for=reason) for reason in (ListReason.DOUBT, ListReason.AUDIT))
A_REPEATED, B_DRAWN = replace(A_COVID, chosen_for=ListReason.REPEAT), replace(B_COVID, chosen_for=ListReason.AUDIT)
A_AGAIN, B_AGAIN = replace(A_COVID, again=True), replace(B_NORMAL, again=True)


@pytest.mark.parametrize(
    ("opinions", "settlement", "label"),
    [
        ([A_COVID], Settlement.SINGLE, Label.COVID),
        ([A_COVID, say("reader  a", Label.NORMAL)], Settlement.SINGLE, Label.NORMAL),
        ([A_COVID, B_COVID], Settlement.AGREED, Label.COVID),
        ([A_COVID, B_NORMAL], Settlement.DISPUTED, None),
        ([A_COVID, B_NORMAL, B_COVID], Settlement.AGREED, Label.COVID),
        ([A_COVID, say("B", Label.UNSURE)], Settlement.DISPUTED, None),
        ([say(None, Label.COVID), say(None, Label.NORMAL)], Settlement.SINGLE, Label.NORMAL),
        ([A_COVID, B_NORMAL, say("C", Label.OTHER, role=ADJUDICATOR)], Settlement.ADJUDICATED, Label.OTHER),
        ([A_COVID, B_NORMAL, A_AGAIN], Settlement.DISPUTED, None),
        ([A_COVID, B_NORMAL, A_AGAIN, B_AGAIN], Settlement.ADJUDICATED, Label.UNSURE),
        ([A_COVID, B_NORMAL, A_AGAIN, replace(B_COVID, again=True)], Settlement.AGREED, Label.COVID),
        ([say(None, Label.NORMAL), A_COVID, A_AGAIN], Settlement.ADJUDICATED, Label.UNSURE),
    ],
)
def test_the_newest_opinion_of_each_reader_counts(
    opinions: list[Opinion], settlement: Settlement, label: Label | None
) -> None:
    assert (settle(opinions), find_settled(opinions)) == (settlement, label)


def test_a_film_without_an_opinion_is_not_settled() -> None:
    with pytest.raises(ValueError, match="no opinion"):
        settle([])


def test_every_way_has_its_number() -> None:
    counted = count_settlements({1: [A_COVID], 2: [A_COVID, B_NORMAL]})

    assert counted == {"agreed": 0, "single": 1, "disputed": 1, "adjudicated": 0}


@pytest.mark.parametrize(
    ("opinions", "rules", "label", "held"),
    [
        ([A_COVID], RULES, Label.COVID, None),
        ([A_COVID], LabelRules(readers_per_film=2), Label.COVID, Held.WAITING),
        ([A_COVID, B_COVID], LabelRules(readers_per_film=2), Label.COVID, None),
        ([DATASET], LabelRules(readers_per_film=2), Label.COVID, None),
        ([A_COVID, B_NORMAL], RULES, Label.NORMAL, Held.DISPUTED),
        ([DATASET, B_NORMAL], RULES, Label.NORMAL, Held.DISPUTED),
        ([A_COVID, B_NORMAL], LabelRules(hold_disputes=False), Label.NORMAL, None),
        ([A_COVID, B_NORMAL, say("C", Label.COVID, role=ADJUDICATOR)], RULES, Label.COVID, None),
        ([say("A", Label.OTHER)], RULES, Label.OTHER, None),
        ([say("A", Label.OTHER)], LabelRules(other=OtherLabel.NEVER), Label.OTHER, Held.OTHER),
        ([say("A", Label.UNSURE)], RULES, Label.UNSURE, None),
        ([A_COVID, B_NORMAL, A_AGAIN, B_AGAIN], RULES, Label.UNSURE, None),
    ],
)
def test_a_film_trains_by_what_the_policy_lets_count(
    opinions: list[Opinion], rules: LabelRules, label: Label, held: Held | None
) -> None:
    settled = settle_label(opinions, rules)

    assert (settled.label, settled.held) == (label, held)


@pytest.mark.parametrize(
    ("opinions", "rules", "reference"),
    [
        ([A_COVID], RULES, Reference(Label.COVID, Standard.ONE_BLINDED)),
        ([A_COVID, B_COVID], RULES, Reference(Label.COVID, Standard.TWO_BLINDED)),
        ([DATASET, B_COVID], RULES, Reference(Label.COVID, Standard.DATASET)),
        (
            [A_COVID, B_NORMAL, say("C", Label.NORMAL, role=ADJUDICATOR)],
            RULES,
            Reference(Label.NORMAL, Standard.ADJUDICATED),
        ),
        ([A_SAW], RULES, Reference(None, held=Held.VISIBLE)),
        ([say("A", Label.COVID, seen=None)], RULES, Reference(None, held=Held.UNTOLD)),
        ([A_COVID, B_NORMAL], RULES, Reference(None, held=Held.DISPUTED)),
        ([A_COVID], LabelRules(readers_per_film=2), Reference(None, held=Held.WAITING)),
        ([say("A", Label.UNSURE), say("B", Label.COVID, seen=True)], RULES, Reference(None, held=Held.UNSURE)),
        (
            [A_SAW],
            LabelRules(blind_test_side=False, chance_test_side=False),
            Reference(Label.COVID, Standard.READERS),
        ),
        ([say("A", Label.OTHER)], LabelRules(other=OtherLabel.NEVER), Reference(Label.OTHER, Standard.ONE_BLINDED)),
        ([A_DOUBTED], RULES, Reference(None, held=Held.CHOSEN)),
        ([A_DOUBTED, B_COVID], RULES, Reference(None, held=Held.CHOSEN)),
        ([B_COVID, A_DOUBTED], RULES, Reference(Label.COVID, Standard.TWO_BLINDED)),
        ([A_DOUBTED, B_DRAWN], RULES, Reference(Label.COVID, Standard.TWO_BLINDED)),
        ([A_SAW, B_COVID], RULES, Reference(None, held=Held.CHOSEN)),
        ([say("A", Label.COVID, seen=None), B_COVID], RULES, Reference(Label.COVID, Standard.ONE_BLINDED)),
        ([A_REPEATED, B_COVID], RULES, Reference(Label.COVID, Standard.TWO_BLINDED)),
        ([A_DOUBTED, DATASET], RULES, Reference(Label.COVID, Standard.DATASET)),
        ([A_DOUBTED], LabelRules(chance_test_side=False), Reference(Label.COVID, Standard.ONE_BLINDED)),
        ([A_DRAWN], RULES, Reference(Label.COVID, Standard.ONE_BLINDED)),
        ([A_SAW], LabelRules(blind_test_side=False), Reference(None, held=Held.CHOSEN)),
    ],
)
def test_a_film_judges_by_what_was_said_without_the_score(
    opinions: list[Opinion], rules: LabelRules, reference: Reference
) -> None:
    assert settle_label(opinions, rules).reference == reference


def test_a_verdict_that_the_revealed_score_changed_trains_and_the_one_before_it_judges() -> None:
    settled = settle_label([A_COVID, say("Reader A", Label.NORMAL, seen=True)], RULES)

    assert (settled.label, settled.held) == (Label.NORMAL, None)
    assert settled.reference == Reference(Label.COVID, Standard.ONE_BLINDED)


def test_what_is_excluded_judges_nothing_whoever_said_so() -> None:
    settled = settle_label([DATASET, say(None, Label.EXCLUDE, seen=True)], RULES)

    assert settled.label is Label.EXCLUDE
    assert settled.reference.label is None


def test_a_film_that_doubt_chose_judges_once_all_that_came_in_before_it_are_read() -> None:
    assert settle_label([A_DOUBTED], RULES, read_whole=True).reference == Reference(Label.COVID, Standard.ONE_BLINDED)
