"""The split: by patient, keyed, and the same for ever."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from xray_core.promotion.judged_on import count_judges
from xray_core.records import FileFormat, Held, Label, LabelledXray, Reference, Split, Standard
from xray_core.training.split import assign_split, digest_label_set, plan_training_set

KEY = b"a key of one site"


def make_xray(number: int, group: str | None = None, label: Label = Label.COVID) -> LabelledXray:
    sha256 = hashlib.sha256(str(number).encode()).hexdigest()
    return LabelledXray(
        xray_id=number,
        sha256=sha256,
        path=f"{number}.png",
        label=label,
        group=group or f"content:{sha256}",
        patient_known=group is not None,
        source=None,
        view=None,
        sex=None,
        age_group=None,
        file_format=FileFormat.PNG,
        width=150,
        height=150,
        dhash="0" * 16,
    )


def find_group(side: Split, start: int = 0) -> str:
    return next(g for g in (f"patient {n}" for n in range(start, start + 1000)) if assign_split(g, KEY) is side)


def test_a_patient_has_the_same_side_whoever_else_is_there() -> None:
    alone = plan_training_set([make_xray(1, "patient 1")], {}, KEY)
    crowd = plan_training_set([make_xray(n, f"patient {n}") for n in range(300)], {}, KEY)

    assert crowd.sides["patient 1"] is alone.sides["patient 1"]


def test_two_of_five_patients_are_held_out_half_of_them_for_the_test() -> None:
    sides = [assign_split(f"patient {n}", KEY) for n in range(10_000)]

    assert sides.count(Split.TRAIN) == pytest.approx(6000, abs=200)
    assert sides.count(Split.VALIDATION) == pytest.approx(2000, abs=160)
    assert sides.count(Split.TEST) == pytest.approx(2000, abs=160)


def test_another_key_gives_another_split() -> None:
    groups = [f"patient {n}" for n in range(200)]

    assert [assign_split(g, KEY) for g in groups] != [assign_split(g, b"the key of another site") for g in groups]


def test_a_smaller_held_out_share_only_moves_patients_to_training() -> None:
    for n in range(500):
        less, more = assign_split(f"patient {n}", KEY, 0.2), assign_split(f"patient {n}", KEY, 0.4)
        assert less is more or less is Split.TRAIN


@pytest.mark.parametrize(("key", "held_out"), [(b"short", 0.4), (KEY, 1.0), (KEY, -0.1), (b"x" * 65, 0.4)])
def test_a_weak_key_or_a_share_outside_its_range_is_refused(key: bytes, held_out: float) -> None:
    with pytest.raises(ValueError, match="16 to 64"):
        assign_split("patient", key, held_out)


def test_all_x_rays_of_a_patient_stand_on_one_side() -> None:
    xrays = [make_xray(n, f"patient {n % 40}") for n in range(200)]

    plan = plan_training_set(xrays, {}, KEY)

    sides = [{xray.group for xray in side} for side in (plan.train, plan.validation, plan.test)]
    assert sum(len(side) for side in sides) == len(set().union(*sides)) == 40


def test_a_frozen_side_is_kept_whatever_the_hash_says_now() -> None:
    group = find_group(Split.TRAIN)

    plan = plan_training_set([make_xray(1, group), make_xray(2, "new")], {group: Split.TEST}, KEY)

    assert [xray.group for xray in plan.test if xray.group == group] == [group]
    assert set(plan.new_groups) == {"new"}


def test_labels_that_are_not_trained_on_are_counted_and_left_out() -> None:
    plan = plan_training_set([make_xray(1), make_xray(2, label=Label.UNSURE)], {}, KEY)

    assert plan.not_trainable == 1
    assert len(plan.sides) == 1


def test_patients_and_x_rays_are_counted_by_side_and_class() -> None:
    group = find_group(Split.TRAIN)
    xrays = [make_xray(1, group), make_xray(2, group), make_xray(3, group, Label.NORMAL)]

    plan = plan_training_set(xrays, {}, KEY)

    assert (plan.count(Split.TRAIN, Label.COVID).xrays, plan.count(Split.TRAIN, Label.COVID).patients) == (2, 1)
    assert plan.count(Split.TRAIN, Label.NORMAL).patients == 1
    assert plan.count(Split.TEST, Label.COVID).xrays == 0


def test_x_rays_without_a_known_patient_are_counted() -> None:
    assert plan_training_set([make_xray(1), make_xray(2, "patient")], {}, KEY).without_patient == 1


def test_of_a_picture_on_two_sides_the_training_copy_is_left_out_with_a_reason() -> None:
    learnt, judged = make_xray(1, find_group(Split.TRAIN)), make_xray(2, find_group(Split.TEST))

    plan = plan_training_set([learnt, judged], {}, KEY, duplicates=[(judged.sha256, learnt.sha256)])

    assert plan.test == (judged,)
    assert [item.xray for item in plan.left_out] == [learnt]
    assert "the same picture as" in plan.left_out[0].reason


def test_a_copy_of_what_was_trained_on_before_never_comes_to_judge() -> None:
    learnt, judged = make_xray(1, find_group(Split.TRAIN)), make_xray(2, find_group(Split.TEST))

    plan = plan_training_set(
        [learnt, judged], {}, KEY, duplicates=[(learnt.sha256, judged.sha256)], used_before={learnt.sha256}
    )

    assert plan.train == (learnt,)
    assert [item.xray for item in plan.left_out] == [judged]


def test_copies_on_the_same_side_stay() -> None:
    group = find_group(Split.TRAIN)
    pair = make_xray(1, group), make_xray(2, group)

    plan = plan_training_set(pair, {}, KEY, duplicates=[(pair[0].sha256, pair[1].sha256)])

    assert plan.left_out == ()


def test_the_digest_knows_content_and_label_and_not_the_order() -> None:
    xrays = [make_xray(1), make_xray(2, label=Label.NORMAL)]
    changed = [make_xray(1), make_xray(2, label=Label.COVID)]

    assert digest_label_set(xrays) == digest_label_set(xrays[::-1])
    assert digest_label_set(xrays) != digest_label_set(changed)
    assert digest_label_set(xrays) == digest_label_set([*xrays, make_xray(3, label=Label.UNSURE)])
    assert plan_training_set(xrays, {}, KEY).label_set_sha256 == digest_label_set(xrays)


def test_an_xray_takes_its_patient_to_the_side_where_it_stood_before_the_patient_was_known() -> None:
    late = [make_xray(1, "patient 1"), make_xray(2, "patient 1")]
    stood = {f"content:{late[0].sha256}": Split.TRAIN}

    for key in (KEY, b"the key of another site", b"and of a third one"):
        plan = plan_training_set(late, stood, key)

        assert {xray.xray_id for xray in plan.train} == {1, 2}
        assert plan.new_groups == {"patient 1": Split.TRAIN}


def test_an_xray_that_stood_elsewhere_than_its_patient_is_left_out_with_the_reason() -> None:
    late = [make_xray(1, "patient 1"), make_xray(2, "patient 1")]
    frozen = {f"content:{late[0].sha256}": Split.TRAIN, "patient 1": Split.TEST}

    plan = plan_training_set(late, frozen, KEY)

    assert plan.test == ()
    assert [(item.xray.xray_id, item.reason) for item in plan.left_out] == [
        (1, "stood on the train side before its patient was known, who stands on the test side"),
        (2, "its patient was trained on before the patient was known: it never judges"),
    ]


def test_an_unknown_patient_s_xray_never_judges_unless_the_policy_says_so() -> None:
    xrays = [make_xray(n) for n in range(200)]

    plan = plan_training_set(xrays, {}, KEY)

    assert plan.test == ()
    assert plan.without_patient == 200
    assert len(plan_training_set(xrays, {}, KEY, unknown_may_judge=True).test) > 20


def test_an_unknown_xray_that_was_frozen_on_the_test_side_judges_no_more() -> None:
    xray = make_xray(1)

    plan = plan_training_set([xray], {xray.group: Split.TEST}, KEY)

    assert plan.test == ()
    assert [item.reason for item in plan.left_out] == [
        "stands on the test side and its patient is unknown: it never judges"
    ]


@pytest.mark.parametrize("still_labelled", [Label.COVID, Label.EXCLUDE])
def test_a_patient_who_was_trained_on_before_anybody_knew_never_judges(still_labelled: Label) -> None:
    judged, trained = make_xray(1, "p"), make_xray(2, "p", still_labelled)
    frozen = {"p": Split.TEST, make_xray(2).group: Split.TRAIN}

    plan = plan_training_set([judged, trained], frozen, KEY, labelled=[judged, trained])

    assert plan.test == ()
    assert judged.sha256 in {item.xray.sha256 for item in plan.left_out}


def test_a_film_whose_reader_saw_the_score_trains_and_never_judges() -> None:
    seen = replace(make_xray(1, find_group(Split.TEST)), reference=Reference(None, held=Held.VISIBLE))
    trained = replace(make_xray(2, find_group(Split.TRAIN)), reference=Reference(None, held=Held.VISIBLE))

    plan = plan_training_set([seen, trained], {}, KEY)

    assert (plan.test, [xray.xray_id for xray in plan.train]) == ((), [2])
    assert plan.count_held(Split.TEST) == {Held.VISIBLE: 1}
    assert "the score was visible: it never judges so" in plan.left_out[0].reason


def test_on_the_test_side_the_blinded_label_counts_and_elsewhere_the_settled_one() -> None:
    said = Reference(Label.NORMAL, Standard.TWO_BLINDED)
    judging, training = (
        replace(make_xray(n, find_group(side)), reference=said) for n, side in enumerate((Split.TEST, Split.TRAIN))
    )

    plan = plan_training_set([judging, training], {}, KEY)

    assert [xray.label for xray in plan.test] == [Label.NORMAL]
    assert [xray.label for xray in plan.train] == [Label.COVID]
    assert f"{count_judges(plan.test, {})}" == "1 patient: 1 by two blinded readers"


def test_a_disputed_film_trains_nobody_and_still_judges_by_its_blinded_label() -> None:
    settled = Reference(Label.NORMAL, Standard.TWO_BLINDED)
    judging, training = (
        replace(make_xray(n, find_group(side)), held=Held.DISPUTED, reference=settled)
        for n, side in enumerate((Split.TEST, Split.TRAIN))
    )

    plan = plan_training_set([judging, training], {}, KEY)

    assert [xray.label for xray in plan.test] == [Label.NORMAL]
    assert plan.train == ()
    assert plan.count_held(Split.TRAIN) == {Held.DISPUTED: 1}


def test_what_is_abnormal_and_not_covid_is_counted_apart() -> None:
    plan = plan_training_set([make_xray(1, find_group(Split.TRAIN), Label.OTHER)], {}, KEY)

    assert plan.count(Split.TRAIN, Label.OTHER).xrays == 1
    assert plan.count(Split.TRAIN, Label.NORMAL).xrays == 0
    assert all(count.label is not Label.OTHER for count in plan.counts if count.split is Split.TEST)


def test_a_film_that_may_judge_now_makes_another_label_set() -> None:
    seen = replace(make_xray(1), reference=Reference(None, held=Held.VISIBLE))
    read_blind = replace(seen, reference=Reference(Label.COVID, Standard.ONE_BLINDED))

    assert digest_label_set([seen]) != digest_label_set([read_blind])
    assert digest_label_set([read_blind]) == digest_label_set([make_xray(1)])


def test_whom_a_model_was_judged_on_is_said_by_patient_and_what_was_left_out_with_its_way_out() -> None:
    patients = [("a", Standard.TWO_BLINDED), ("a", Standard.DATASET), ("b", Standard.TWO_BLINDED)]
    xrays = [
        replace(make_xray(n, group), reference=Reference(Label.COVID, standard))
        for n, (group, standard) in enumerate(patients)
    ]

    assert f"{count_judges(xrays, {Held.VISIBLE: 12})}" == (
        "2 patients: 1 by two blinded readers, 1 dataset; 12 X-rays left out, the score was visible (`xray export "
        "--for-review` has another reader read every film without it)"
    )
