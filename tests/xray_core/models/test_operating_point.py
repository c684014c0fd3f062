"""The operating point: two thresholds, their targets, and every edge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xray_core.models.operating_point import choose_operating_point
from xray_core.records import Outcome, Split

score = st.floats(0, 1, allow_nan=False)


def test_at_most_one_in_twenty_of_a_class_is_on_the_wrong_side() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(1000) < 0.4
    scores = 1 / (1 + np.exp(-(rng.normal(size=1000) + 2 * truth - 1)))

    point = choose_operating_point(scores, truth)

    assert 0.949 <= (scores[truth] >= point.lower).mean() <= 0.955
    assert 0.949 <= (scores[~truth] < point.upper).mean() <= 0.955
    assert 0 < point.lower < point.upper < 1
    assert point.chosen_on is Split.VALIDATION
    assert (point.positives, point.negatives) == (truth.sum(), (~truth).sum())


def test_between_the_thresholds_is_referred() -> None:
    point = choose_operating_point([0.1, 0.6, 0.4, 0.9], [False, False, True, True])

    assert [point.outcome(p) for p in (0.1, 0.5, 0.9)] == [Outcome.NEGATIVE, Outcome.REFER, Outcome.POSITIVE]


def test_classes_that_are_apart_need_no_band() -> None:
    point = choose_operating_point([0.1, 0.2, 0.8, 0.9], [False, False, True, True])

    assert point.lower == point.upper == pytest.approx(0.5)
    assert point.sensitivity == point.specificity == 1.0


def test_where_the_thresholds_cross_the_best_separating_one_serves_for_both() -> None:
    normal, covid = [0.1] * 19 + [0.7], [0.9] * 19 + [0.3]

    point = choose_operating_point(normal + covid, [False] * 20 + [True] * 20)

    assert point.lower == point.upper
    assert (point.sensitivity, point.specificity) == (1.0, 0.95)


@pytest.mark.parametrize("truth", [[True, True], [False, False], []])
def test_with_a_class_missing_the_point_is_the_middle_and_has_no_figures(truth: list[bool]) -> None:
    point = choose_operating_point([0.2] * len(truth), truth)

    assert (point.lower, point.upper, point.sensitivity, point.specificity) == (0.5, 0.5, None, None)


def test_scores_that_say_nothing_are_all_referred() -> None:
    point = choose_operating_point([0.3] * 10, [True, False] * 5)

    assert point.outcome(0.3) is Outcome.REFER


@given(st.lists(st.tuples(score, st.booleans()), min_size=1, max_size=60))
def test_whatever_the_scores_the_thresholds_are_in_order_and_miss_at_most_the_target(
    cases: list[tuple[float, bool]],
) -> None:
    scores, truth = [case[0] for case in cases], [case[1] for case in cases]

    point = choose_operating_point(scores, truth)

    assert 0 <= point.lower <= point.upper <= 1
    if any(truth) and not all(truth):
        assert point.sensitivity is not None
        assert point.sensitivity >= 0.95
        if all(s < 1 for s, is_covid in cases if not is_covid):
            assert point.specificity is not None
            assert point.specificity >= 0.95


def test_a_score_that_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number in"):
        choose_operating_point([0.5, float("nan")], [True, False])
