"""Which patients of a large test side judge."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.xray_core.promotion.test_gate import FIRST_LOOK, POLICY, make_pair
from tests.xray_core.training.test_split import KEY, make_xray
from xray_core.promotion.gate import decide_promotion
from xray_core.promotion.judged_on import JudgedOn, count_judges
from xray_core.promotion.judging_sample import count_judges_drawn, draw_judges
from xray_core.records import Held, Label, LabelledXray, Split, Standard
from xray_core.training.split import assign_split, plan_training_set


def make_side(patients: int, films: int = 1, label: Label = Label.COVID, start: int = 0) -> list[LabelledXray]:
    return [
        make_xray(films * number + film, f"{label.value} {number}", label)
        for number in range(start, start + patients)
        for film in range(films)
    ]


def both_classes(patients: int, start: int = 0) -> list[LabelledXray]:
    return make_side(patients, start=start) + make_side(patients, label=Label.NORMAL, start=start)


def test_below_the_bound_everybody_judges() -> None:
    side = both_classes(40)

    assert draw_judges(side, KEY, 40) == {xray.group for xray in side}


def test_of_a_large_side_as_many_patients_of_each_class_judge_as_may() -> None:
    side = make_side(300) + make_side(70, label=Label.NORMAL) + make_side(20, label=Label.OTHER)

    drawn = draw_judges(side, KEY, 50)

    assert [sum(group.startswith(label) for group in drawn) for label in ("covid", "normal", "other")] == [50, 50, 20]


def test_a_patient_with_films_of_both_classes_stands_with_covid_and_judges_with_all_of_them() -> None:
    mixed = [
        replace(make_xray(2 * number + film, f"mixed {number}"), label=(Label.COVID, Label.NORMAL)[film])
        for number in range(60)
        for film in range(2)
    ]
    side = mixed + make_side(60, label=Label.NORMAL, start=1000)

    drawn = draw_judges(side, KEY, 30)

    assert sum(group.startswith("mixed") for group in drawn) == 30
    assert sum(group.startswith("normal") for group in drawn) == 30


@pytest.mark.parametrize("films", [1, 3])
def test_whole_patients_judge(films: int) -> None:
    groups = [f"patient {number}" for number in range(2000) if assign_split(f"patient {number}", KEY) is Split.TEST]
    xrays = [make_xray(films * place + film, group) for place, group in enumerate(groups) for film in range(films)]

    plan = plan_training_set(xrays, {}, KEY, most_judges=50)

    judging = [xray.group for xray in plan.judging]
    assert len(set(judging)) == 50
    assert len(judging) == 50 * films
    assert len(plan.test) == len(xrays)


def test_as_a_side_grows_only_patients_who_are_new_to_it_come_into_the_sample() -> None:
    everybody = both_classes(400)
    before: frozenset[str] = frozenset()
    stood: set[str] = set()
    for patients in (20, 50, 60, 100, 101, 200, 400):
        side = [xray for xray in everybody if int(xray.group.split()[1]) < patients]
        now = draw_judges(side, KEY, 50)

        assert not (now - before) & stood
        before, stood = now, {xray.group for xray in side}
    assert before & draw_judges(both_classes(50), KEY, 50)


def test_the_share_of_new_patients_in_the_sample_is_that_of_the_side() -> None:
    old = draw_judges(both_classes(1000), KEY, 200)
    grown = draw_judges(both_classes(2000), KEY, 200)

    assert len(grown - old) / len(grown) == pytest.approx(0.5, abs=0.08)


def test_the_sample_hangs_on_the_patients_and_the_key_alone() -> None:
    side = both_classes(200)

    assert draw_judges(side[::-1], KEY, 50) == draw_judges(side, KEY, 50)
    assert draw_judges(side, b"the key of another site", 50) != draw_judges(side, KEY, 50)


def test_the_sample_does_not_follow_the_hash_that_drew_the_sides() -> None:
    side = both_classes(2000)
    on_test = {xray.group for xray in side if assign_split(xray.group, KEY) is Split.TEST}

    drawn = draw_judges(side, KEY, 500)

    assert len(drawn & on_test) / len(drawn) == pytest.approx(len(on_test) / 4000, abs=0.05)


def test_who_judges_of_a_side_judges_of_each_part_of_it_where_the_patient_stands() -> None:
    side = both_classes(300)
    part = side[::3]

    assert draw_judges(side, KEY, 50) & {xray.group for xray in part} <= draw_judges(part, KEY, 50)


def test_a_plan_without_a_bound_has_everybody_judge() -> None:
    plan = plan_training_set(both_classes(400), {}, KEY)

    assert plan.judging == plan.test


def test_as_many_are_counted_as_are_drawn() -> None:
    side = make_side(300, films=2) + make_side(70, label=Label.NORMAL)

    assert count_judges_drawn(side, 50) == len(draw_judges(side, KEY, 50)) == 100
    assert count_judges_drawn(side, 100) == 170
    assert count_judges_drawn(side, 300) is None
    assert count_judges_drawn(make_side(2), 50, numbers={0: 80}) == 50


def test_where_a_sample_cannot_tell_a_larger_one_is_a_way_out() -> None:
    candidate, champion = make_pair(0.92, 0.93, patients=40, correlation=0.5)
    sampled = replace(candidate, judged_on=JudgedOn({Standard.DATASET: 400}, sampled=80))
    whole = replace(candidate, judged_on=JudgedOn({Standard.DATASET: 80}))

    reasons = [decide_promotion(one, champion, POLICY, beside=FIRST_LOOK).reason for one in (sampled, whole)]

    assert "too few to tell" in reasons[1]
    words = "(of a class of which a sample judges: a larger `test.max_patients_per_class` of the policy), should the"
    assert [words in reason for reason in reasons] == [True, False]


def test_slices_that_a_sample_has_too_few_films_of_are_told() -> None:
    candidate, champion = make_pair(0.95, 0.95, patients=40, correlation=0.95)
    sources = ["rare" if place < 5 else "common" for place in range(len(candidate.xrays))]
    candidate, champion = (replace(one, slices={"source": sources}) for one in (candidate, champion))
    sampled = replace(candidate, judged_on=JudgedOn({Standard.DATASET: 400}, sampled=80))

    decisions = [decide_promotion(one, champion, POLICY, beside=FIRST_LOOK) for one in (sampled, candidate)]

    words = [check.words for decision in decisions for check in decision.checks if check.name == "slices"]
    assert words[0] == (
        "none of 1 slice collapses; 1 slice cannot be told for want of films in the sample (of a class of which a "
        "sample judges: a larger `test.max_patients_per_class` of the policy)"
    )
    assert words[1] == "none of 1 slice collapses"


def test_that_a_sample_judges_is_said_beside_whose_labels_these_are() -> None:
    side = both_classes(60)

    assert f"{count_judges(side, {Held.DISPUTED: 2}, most=50)}".startswith(
        "a sample of 100 patients, drawn by the site's key (`test.max_patients_per_class` of the policy), of 120 "
        "patients: 120 dataset; 2 X-rays left out"
    )
    assert f"{count_judges(side, {}, most=60)}" == "120 patients: 120 dataset"
