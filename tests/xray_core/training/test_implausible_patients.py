"""A patient id that cannot be one person's makes nobody known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.xray_core.training.test_split import KEY, make_xray
from xray_core.records import Label, LabelledXray, Split
from xray_core.training.implausible_patients import doubt_patients, is_implausible
from xray_core.training.split import plan_training_set


def some(group: str | None, covid: int, normal: int, *, start: int = 0) -> list[LabelledXray]:
    labels = [Label.COVID] * covid + [Label.NORMAL] * normal
    return [make_xray(start + place, group, label) for place, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("covid", "normal", "xrays", "doubted"),
    [
        (3, 3, 600, True),  # both classes, more than a handful
        (1, 5, 600, True),
        (4, 1, 6, False),  # somebody who was followed up
        (8, 0, 20, False),  # often filmed, in one class
        (20, 0, 20, False),
        (21, 0, 60, True),  # more than a third of many
        (0, 21, 63, False),
        (0, 200, 10_000, False),
    ],
)
def test_what_one_person_can_hardly_have(covid: int, normal: int, xrays: int, doubted: bool) -> None:
    assert is_implausible(covid, normal, xrays) is doubted


def test_x_rays_of_an_implausible_patient_are_those_of_unknown_ones_and_counted() -> None:
    xrays = some("console", 8, 8) + some("person", 2, 1, start=100) + some(None, 4, 4, start=200)

    answer, doubted = doubt_patients(xrays)

    assert doubted == 16
    assert not any(xray.patient_known for xray in answer[:16])
    assert len({xray.group for xray in answer[:16]}) == 16
    assert answer[16:] == xrays[16:]
    assert plan_training_set(answer, {}, KEY).without_patient == 24


def test_labels_that_are_not_trained_on_are_of_no_class() -> None:
    xrays = [*some("p", 5, 0), *(replace(xray, label=Label.UNSURE) for xray in some("p", 0, 9, start=50))]

    assert doubt_patients(xrays) == (xrays, 0)


@pytest.mark.parametrize("side", [Split.TRAIN, Split.TEST])
def test_what_the_doubted_id_stood_on_before_is_no_way_to_another_side(side: Split) -> None:
    answer, _ = doubt_patients(some("console", 8, 8))

    plan = plan_training_set(answer, {"console": side}, KEY)

    assert plan.test == ()
    assert len(plan.train) == (16 if side is Split.TRAIN else 0)
    assert len(plan.left_out) == (0 if side is Split.TRAIN else 16)
