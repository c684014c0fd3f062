"""How like two models are, and whether that was to be expected."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from xray_core.models.records import OperatingPoint
from xray_core.networks.keras_classifier import KerasClassifier
from xray_core.training.reproduction.likeness import (
    TOLERANCE,
    Likeness,
    Sameness,
    measure_likeness,
    say_whether_expected,
)

POINT = OperatingPoint(0.3, 0.7, 0.95, None, None, 5, 5, None)
FILMS = np.zeros((3, 2, 2), dtype=np.uint8)


def says(scores: list[float], *weights: float) -> KerasClassifier:
    """A classifier whose answers and weights are known."""

    def predict(_: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.array(scores, dtype=np.float32)

    model: Any = SimpleNamespace(get_weights=lambda: [np.array(weights, dtype=np.float32)])
    return cast(KerasClassifier, SimpleNamespace(predict=predict, model=model))


def test_the_same_weights_are_identical() -> None:
    likeness = measure_likeness(says([0.1, 0.5, 0.9], 1.0), says([0.1, 0.5, 0.9], 1.0), FILMS, POINT)

    assert likeness.sameness is Sameness.IDENTICAL
    assert likeness.other_outcomes == 0


def test_a_last_digit_makes_the_same_predictions_and_no_identical_weights() -> None:
    likeness = measure_likeness(says([0.1, 0.5, 0.9], 1.0), says([0.1, 0.5005, 0.9], 1.0000001), FILMS, POINT)

    assert likeness.sameness is Sameness.ALIKE
    assert likeness.largest_difference == pytest.approx(0.0005, rel=1e-3)


def test_other_predictions_are_another_model_and_the_outcomes_that_change_are_counted() -> None:
    likeness = measure_likeness(says([0.1, 0.5, 0.9], 1.0), says([0.1, 0.8, 0.2], 2.0), FILMS, POINT)

    assert likeness.sameness is Sameness.DIFFERENT
    assert likeness.other_outcomes == 2
    assert "2 outcomes are others" in likeness.sentence


def test_more_weights_than_before_are_not_the_same() -> None:
    assert not measure_likeness(says([0.5], 1.0), says([0.5], 1.0, 2.0), FILMS[:1], POINT).has_same_weights


def test_an_answer_that_is_no_number_is_another_model() -> None:
    likeness = measure_likeness(says([0.5], 1.0), says([float("nan")], 2.0), FILMS[:1], POINT)

    assert likeness.sameness is Sameness.DIFFERENT


@pytest.mark.parametrize(
    ("has_same_weights", "largest", "differences", "words"),
    [
        (True, 0.0, (), "what the same seed must give."),
        (True, 0.0, ("Keras: 1 then, 2 now",), "although not everything is as it was then (Keras: 1 then, 2 now)"),
        (False, 0.2, ("Keras: 1 then, 2 now",), "is to be expected"),
        (False, TOLERANCE, ("cores: 1 then, 2 now",), "these are others now: cores: 1 then, 2 now"),
        (False, 0.2, (), "NOT to be expected"),
    ],
)
def test_whether_it_was_to_be_expected_hangs_on_what_is_other_now(
    has_same_weights: bool, largest: float, differences: tuple[str, ...], words: str
) -> None:
    assert words in say_whether_expected(Likeness(has_same_weights, largest, 10, 0), differences)
