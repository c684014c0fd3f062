"""The operating point: two thresholds, what they promise, and every edge."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from scipy.special import ndtr, ndtri

from tests.xray_core.cohorts import simulate_scores
from xray_core.models.operating_point import (
    choose_operating_point,
    count_needed,
    describe_promise,
    describe_thresholds,
    find_limit,
)
from xray_core.models.records import NEVER_NEGATIVE, NEVER_POSITIVE, OperatingPoint
from xray_core.records import LIKE_NEITHER, NO_THRESHOLD, Outcome, Split, is_unlike, say_why_referred

score = st.floats(0, 1, allow_nan=False)


def choose(normal: list[float], covid: list[float]) -> OperatingPoint:
    """With an X-ray a patient."""
    truth = [False] * len(normal) + [True] * len(covid)
    return choose_operating_point([*normal, *covid], truth, [str(n) for n in range(len(truth))])


def spread(low: float, high: float, count: int = 40) -> list[float]:
    return np.linspace(low, high, count).tolist()


def conform(scores: list[float], new: float) -> float:
    """The p-value of a new score by its definition: the share, itself included, of scores that are as low or lower."""
    return (1 + sum(score <= new for score in scores)) / (len(scores) + 1)


@given(st.lists(score, min_size=1, max_size=90, unique=True), st.sampled_from([0.01, 0.05, 0.1, 0.25]))
def test_the_limit_is_the_lowest_score_whose_conformal_p_value_is_above_alpha(
    scores: list[float], alpha: float
) -> None:
    limit = find_limit(np.array(scores), np.arange(len(scores)).astype(str), alpha)

    if limit is None:
        assert conform(scores, -1) > alpha + 1e-9  # whatever comes could be of the class
    else:
        assert conform(scores, limit) > alpha + 1e-9
        assert conform(scores, float(np.nextafter(limit, -1))) <= alpha + 1e-9
        assert limit == sorted(scores)[int(alpha * (len(scores) + 1) + 1e-9) - 1]


def test_films_of_one_patient_count_as_one() -> None:
    scores, patients = np.linspace(0.1, 0.9, 30), np.arange(30).astype(str)

    # Five films more of the lowest patient move nothing; as five patients they would.
    more = np.append(scores, np.full(5, 0.1)), np.append(patients, np.full(5, "0"))

    assert find_limit(*more, 0.1) == find_limit(scores, patients, 0.1) == scores[2]
    assert find_limit(more[0], np.arange(35).astype(str), 0.1) == scores[0]


@pytest.mark.parametrize(("target", "needed"), [(0.95, 19), (0.9, 9), (0.8, 4), (0.99, 99)])
def test_a_promise_needs_so_many_patients_and_with_one_less_there_is_no_threshold(target: float, needed: int) -> None:
    scores = np.linspace(0.2, 0.8, needed)

    assert count_needed(target) == needed
    assert find_limit(scores, np.arange(needed).astype(str), 1 - target) == scores[0]
    assert find_limit(scores[1:], np.arange(needed - 1).astype(str), 1 - target) is None


def test_between_the_thresholds_could_be_either_and_is_referred() -> None:
    point = choose(spread(0.1, 0.6), spread(0.4, 0.9))

    assert [point.outcome(p) for p in (0.1, 0.5, 0.9)] == [Outcome.NEGATIVE, Outcome.REFER, Outcome.POSITIVE]
    assert say_why_referred(point.outcome(0.5), point.refer_reason(0.5)) == "its score lies between the two thresholds"
    assert point.refer_reason(0.1) is None


def test_classes_that_are_apart_leave_a_gap_that_is_like_neither_and_is_referred() -> None:
    point = choose(spread(0.1, 0.2), spread(0.8, 0.9))

    assert point.is_gap
    assert [point.outcome(p) for p in (0.15, 0.5, 0.85)] == [Outcome.NEGATIVE, Outcome.REFER, Outcome.POSITIVE]
    assert point.refer_reason(0.5) == LIKE_NEITHER
    assert "neither class" in describe_thresholds(point)
    assert not is_unlike(LIKE_NEITHER)  # of its score, not of the picture


def test_with_too_few_patients_of_a_class_nothing_is_called_by_it_and_all_else_is_referred() -> None:
    few_covid = choose(spread(0.1, 0.6), spread(0.4, 0.9, 18))

    assert few_covid.lower == NEVER_NEGATIVE
    assert {few_covid.outcome(p) for p in (0.0, 0.2, 0.5)} == {Outcome.REFER}
    assert few_covid.outcome(0.9) is Outcome.POSITIVE
    assert few_covid.refer_reason(0.2) == NO_THRESHOLD
    assert "18 covid patients on the validation side, 19 are needed" in describe_thresholds(few_covid)

    few_of_both = choose(spread(0.1, 0.6, 5), spread(0.4, 0.9, 5))
    assert (few_of_both.lower, few_of_both.upper) == (NEVER_NEGATIVE, NEVER_POSITIVE)
    assert {few_of_both.outcome(p) for p in (0.0, 0.5, 1.0)} == {Outcome.REFER}
    assert few_of_both.thresholds == ()


def test_a_normal_x_ray_with_a_score_of_one_leaves_nothing_above_it() -> None:
    point = choose([0.1] * 20 + [1.0] * 20, spread(0.4, 1.0))

    assert point.upper == NEVER_POSITIVE
    assert point.outcome(1.0) is Outcome.REFER
    assert "none lies beyond it" in describe_thresholds(point)


@pytest.mark.parametrize("truth", [[True, True], [False, False], []])
def test_with_a_class_missing_everything_is_referred(truth: list[bool]) -> None:
    point = choose_operating_point([0.2] * len(truth), truth, [str(n) for n in range(len(truth))])

    assert {point.outcome(p) for p in (0.0, 0.2, 1.0)} == {Outcome.REFER}
    assert None in (point.sensitivity, point.specificity)


def test_scores_that_say_nothing_are_all_referred() -> None:
    point = choose([0.3] * 40, [0.3] * 40)

    assert point.outcome(0.3) is Outcome.REFER


@given(st.lists(st.tuples(score, st.booleans(), st.integers(0, 60)), max_size=120))
def test_whatever_the_scores_the_thresholds_are_in_order_and_miss_at_most_the_target(
    cases: list[tuple[float, bool, int]],
) -> None:
    scores, truth = [case[0] for case in cases], [case[1] for case in cases]

    point = choose_operating_point(scores, truth, [str(case[2]) for case in cases])

    assert 0 <= point.lower <= point.upper
    assert point.upper <= 1 or point.upper == NEVER_POSITIVE
    assert point.chosen_on is Split.VALIDATION
    assert (point.positives, point.negatives) == (sum(truth), len(truth) - sum(truth))
    assert {point.outcome(p) for p in scores} <= set(Outcome)
    if len(set(scores)) == len(scores) == len({case[2] for case in cases}):
        assert point.sensitivity is None or point.sensitivity >= 0.95
        assert point.specificity is None or point.specificity >= 0.95


def test_a_score_that_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number in"):
        choose_operating_point([0.5, float("nan")], [True, False], ["a", "b"])
    with pytest.raises(ValueError, match="1 patients"):
        choose_operating_point([0.5, 0.6], [True, False], ["a"])


def test_thresholds_from_before_say_that_they_promise_nothing_and_stay_what_they_were() -> None:
    before = {"lower": 0.2, "upper": 0.7, "target_sensitivity": 0.95, "sensitivity": 1.0, "specificity": 0.95}
    before |= {"positives": 20, "negatives": 20, "chosen_on": "validation"}

    point = TypeAdapter(OperatingPoint).validate_json(json.dumps(before))

    assert [point.outcome(p) for p in (0.19, 0.2, 0.7)] == [Outcome.NEGATIVE, Outcome.REFER, Outcome.POSITIVE]
    assert point.refer_reason(0.5) is None
    assert describe_promise(point).startswith("none")
    assert "negative below 0.2000, positive from 0.7000, between them refer" in describe_thresholds(point)


def test_the_promise_names_both_targets_and_how_long_it_holds() -> None:
    promise = describe_promise(replace(choose(spread(0.1, 0.6), spread(0.4, 0.9)), target_specificity=0.9))

    assert "95% of new covid X-rays are not called negative" in promise
    assert "90% of new normal X-rays are not called positive" in promise
    assert "until the films change" in promise


def measure_kept(sides: int, patients: int, *, most: int, auroc: float = 0.9, seed: int) -> tuple[float, float, float]:
    """Expected sensitivity at the lower and specificity at the upper threshold over simulated validation sides, exact
    for each, and the larger of their standard errors."""
    rng = np.random.default_rng(seed)
    distance = np.sqrt(2) * ndtri(auroc)
    kept = []
    for _ in range(sides):
        (scores,), is_covid, names = simulate_scores(rng, patients=patients, aurocs=(auroc,), most=most)
        point = choose_operating_point(scores, is_covid, names)
        missed = ndtr(ndtri(point.lower) - distance)
        kept.append((1 - missed, ndtr(ndtri(min(point.upper, 1.0)))))
    means, errors = np.mean(kept, axis=0), np.std(kept, axis=0) / np.sqrt(sides)
    return float(means[0]), float(means[1]), float(errors.max())


@pytest.mark.parametrize("patients", [20, 40, 100])
def test_new_x_rays_are_kept_as_promised_on_average(patients: int) -> None:
    sensitivity, specificity, error = measure_kept(400, patients, most=1, seed=1)

    assert min(sensitivity, specificity) >= 0.95 - 3 * error


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("patients", [20, 40, 100])
@pytest.mark.parametrize("most", [1, 4])
@pytest.mark.parametrize("auroc", [0.75, 0.9, 0.999])
def test_new_x_rays_are_kept_as_promised_in_every_setting(patients: int, most: int, auroc: float) -> None:
    sensitivity, specificity, error = measure_kept(10_000, patients, most=most, auroc=auroc, seed=2)

    # 20 patients: 0.952 with an X-ray each, standard error 0.0005.
    assert min(sensitivity, specificity) >= 0.95 - 2 * error


def test_thresholds_that_nobody_has_chosen_promise_nothing_and_say_so() -> None:
    point = OperatingPoint(0.5, 0.5, None, None, None, 0, 0, None)

    assert describe_promise(point) == "none: nobody has chosen these thresholds here"


def test_thresholds_among_dense_scores_are_plain_numbers_that_a_manifest_takes() -> None:
    scores = np.linspace(0.1, 0.9, 40_000)  # neighbours are nearer than a threshold stands off
    is_covid = np.arange(len(scores)) % 2 == 1

    point = choose_operating_point(scores, is_covid, [str(number) for number in range(len(scores))])

    assert 0 < point.lower < point.upper < 1
    assert {type(threshold) for threshold in (point.lower, point.upper)} == {float}
    assert msgspec.json.encode(point)
