"""Intervals: published examples, honest ends, and their rate of cover on simulated cohorts."""

from __future__ import annotations

import numpy as np
import pytest

from tests.xray_core.cohorts import simulate_cohort
from xray_core.evaluation import statistics
from xray_core.evaluation.bootstrap import (
    Cohort,
    make_cohort,
    move_cohort,
    resample_patients,
    resample_statistics,
)
from xray_core.evaluation.calibration import calibration_intercept
from xray_core.evaluation.figures import measure_figures
from xray_core.evaluation.intervals import (
    area_interval,
    clopper_pearson,
    difference_interval,
    effective_number,
    line_interval,
    percentile_interval,
    predictive_value_interval,
    share_interval,
    wilson,
)
from xray_core.models.records import OperatingPoint
from xray_core.records import Interval

pytestmark = pytest.mark.lengthy


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_reproduces_the_published_examples(
    successes: int, trials: int, low: float, high: float
) -> None:
    # Newcombe, Statistics in Medicine 1998;17:857-872, Table I, method 3.
    assert wilson(successes / trials, trials) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_the_exact_interval_reproduces_the_published_examples(
    successes: int, trials: int, low: float, high: float
) -> None:
    # Newcombe, as above, method 5.
    assert clopper_pearson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_the_difference_of_two_shares_reproduces_the_published_example() -> None:
    # Newcombe, Statistics in Medicine 1998;17:873-890, Table II, method 10: 56/70 - 48/80, 0.0524 to 0.3339.
    first, second = (Interval(s / n, *wilson(s / n, n)) for s, n in ((56, 70), (48, 80)))

    found = difference_interval(first, second, first_weight=1, second_weight=1)

    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_all_right_in_few_patients_is_no_certainty() -> None:
    found = share_interval(1.0, np.ones(100), patients=10, xrays=10)

    assert found is not None
    assert found.high == 1.0
    assert found.low == pytest.approx(0.6915, abs=5e-5)  # exact, 10 of 10


def test_many_x_rays_of_few_patients_are_worth_little() -> None:
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(20) < 0.7, 10)  # ten X-rays of a patient are all right or all wrong
    patients = np.repeat(np.arange(20), 10).astype(str).tolist()
    cohort = make_cohort(np.full(200, 0.5), [True] * 200, patients)
    figures = {"share": statistics.share(cohort, right, cohort.is_covid)}
    resampled = resample_statistics(figures, cohort, resamples=1000, seed=1)["share"]

    assert effective_number(*resampled, patients=20, xrays=200) == pytest.approx(20, rel=0.2)


def test_the_same_seed_draws_the_same_patients_and_every_resample_is_complete() -> None:
    cohort = simulate_cohort(np.random.default_rng(5), patients=10, auroc=0.8)

    first = np.concatenate(list(resample_patients(cohort, resamples=50, seed=9)))
    again = np.concatenate(list(resample_patients(cohort, resamples=50, seed=9)))

    assert (first == again).all()
    assert (first[:, cohort.has_covid].sum(axis=1) == 10).all()
    assert (first[:, ~cohort.has_covid].sum(axis=1) == 10).all()


def test_predictive_values_follow_bayes_and_their_intervals_hold_them() -> None:
    rate, false_rate = Interval(0.9, 0.8, 0.95), Interval(0.2, 0.1, 0.3)

    found = predictive_value_interval(rate, false_rate, 0.1)

    assert found is not None
    assert found.value == pytest.approx(0.09 / (0.09 + 0.18))
    # By hand: the ratio 4.5 is between 0.8 / (0.18 + sqrt(0.0084)) = 2.945 and (0.18 + sqrt(0.008175)) / 0.03 = 9.014.
    assert found.low == pytest.approx(0.2945 / (0.2945 + 0.9), abs=1e-4)
    assert found.high == pytest.approx(0.9014 / (0.9014 + 0.9), abs=1e-4)


def test_a_predictive_value_of_one_has_a_lower_end() -> None:
    rate, never = (Interval(s / 30, *clopper_pearson(s, 30)) for s in (27, 0))

    found = predictive_value_interval(rate, never, 0.1)

    assert found is not None
    assert found.value == found.high == 1.0
    assert found.low < 0.7


@pytest.mark.parametrize(("caught", "false", "value"), [((0, 20), (3, 20), 0.0), ((20, 20), (20, 20), 0.1)])
def test_a_predictive_value_at_the_ends_of_both_rates_is_still_a_share(
    caught: tuple[int, int], false: tuple[int, int], value: float
) -> None:
    rate, false_rate = (Interval(s / n, *clopper_pearson(s, n)) for s, n in (caught, false))

    found = predictive_value_interval(rate, false_rate, 0.1)

    assert found is not None
    assert found.value == pytest.approx(value)
    assert 0 <= found.low <= found.value <= found.high < 1


def test_an_outcome_that_was_never_given_has_no_predictive_value() -> None:
    never = Interval(0.0, 0.0, 0.2)

    assert predictive_value_interval(never, never, 0.1) is None


def test_a_slope_that_a_quarter_of_the_resamples_lacks_has_no_interval() -> None:
    slopes = np.concatenate((np.linspace(0.5, 1.5, 80), np.full(20, np.nan)))

    found = line_interval(1.0, slopes, patients=30)

    assert found is not None
    assert found.low < 0.5
    assert found.high > 1.5
    assert line_interval(1.0, np.where(np.arange(100) < 70, slopes, np.nan), patients=30) is None


def test_what_most_resamples_cannot_tell_has_no_interval() -> None:
    values = np.array([1.0] * 90 + [np.nan] * 10)

    assert percentile_interval(1.0, values) is None
    assert percentile_interval(float("nan"), np.ones(10)) is None


@pytest.mark.parametrize(
    ("probabilities", "patients"), [([0.1, 1.2], ["a", "b"]), ([0.1, float("nan")], ["a", "b"]), ([0.1], ["a", "b"])]
)
def test_impossible_scores_are_refused(probabilities: list[float], patients: list[str]) -> None:
    with pytest.raises(ValueError, match="received"):
        make_cohort(probabilities, [True, False], patients)


def count_covered(cohorts: int, patients: int, auroc: float, seed: int) -> tuple[int, int]:
    """How often the intervals of AUROC and of sensitivity hold the truth, over simulated cohorts."""
    rng = np.random.default_rng(seed)
    many = simulate_cohort(rng, patients=100_000, auroc=auroc, most=1)
    sensitivity = float((many.probabilities[many.is_covid] >= 0.5).mean())
    covered = [0, 0]
    for _ in range(cohorts):
        cohort = simulate_cohort(rng, patients=patients, auroc=auroc)
        figures = {
            "area": statistics.auroc(cohort),
            "share": statistics.share(cohort, cohort.probabilities >= 0.5, cohort.is_covid),
        }
        resampled = resample_statistics(figures, cohort, resamples=300, seed=int(rng.integers(2**31)))
        area = area_interval(*resampled["area"], patients=patients, xrays=len(cohort.is_covid))
        share = share_interval(*resampled["share"], patients=patients, xrays=int(cohort.is_covid.sum()))
        assert area is not None
        assert share is not None
        covered[0] += area.low <= auroc <= area.high
        covered[1] += share.low <= sensitivity <= share.high
    return covered[0], covered[1]


@pytest.mark.parametrize(("patients", "auroc"), [(15, 0.97), (40, 0.85)])
def test_intervals_hold_the_truth_at_their_rate(patients: int, auroc: float) -> None:
    for count in count_covered(300, patients, auroc, seed=11):
        assert count >= 273  # 95 % of 300 is 285, less three standard errors of the simulation


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("patients", [15, 30, 100])
@pytest.mark.parametrize("auroc", [0.7, 0.9, 0.97])
def test_intervals_hold_the_truth_at_their_rate_in_every_setting(patients: int, auroc: float) -> None:
    area, share = count_covered(2000, patients, auroc, seed=12)

    assert 0.925 <= area / 2000 <= 0.99
    assert share / 2000 >= 0.935


# The expected calibration error is left out: it cannot be negative, so in few X-rays it is too high by itself, which
# its docstring says.
JUDGED = (
    *("auroc", "auprc", "sensitivity_at_lower", "specificity_at_lower", "sensitivity_at_upper", "specificity_at_upper"),
    *("refer_share", "refer_share_covid", "refer_share_normal", "ppv", "npv", "accuracy", "precision", "f1"),
    *("brier", "calibration_slope", "calibration_intercept", "net_benefit"),
)
POINT = OperatingPoint(0.4, 0.7, 0.95, None, None, 1, 1, None, mix=0.5)


def share_covered(cohorts: int, patients: int, auroc: float, seed: int) -> dict[str, float]:
    """How often each figure's interval holds the truth, over simulated cohorts where it can be told."""
    rng = np.random.default_rng(seed)
    many = measure_figures(simulate_cohort(rng, patients=30_000, auroc=auroc), POINT, 0.1, resamples=2, seed=0)
    held: dict[str, list[bool]] = {name: [] for name in JUDGED}
    for _ in range(cohorts):
        cohort = simulate_cohort(rng, patients=patients, auroc=auroc)
        found = measure_figures(cohort, POINT, 0.1, resamples=300, seed=int(rng.integers(2**31)))
        for name in JUDGED:
            interval, truth = getattr(found, name), getattr(many, name)
            if interval is not None:
                held[name].append(interval.low <= truth.value <= interval.high)
    return {name: float(np.mean(each)) for name, each in held.items()}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("patients", "auroc"), [(20, 0.9), (40, 0.85), (100, 0.9)])
def test_the_intervals_of_every_figure_hold_the_truth_at_their_rate(patients: int, auroc: float) -> None:
    covered = share_covered(400, patients, auroc, seed=1)

    # 95 %, and 93 % of average precision (see `area_interval`), less three standard errors of the simulation.
    wanted = {name: (0.93 if name == "auprc" else 0.95) - 3 * 0.011 for name in JUDGED}
    assert {name: share for name, share in covered.items() if share < wanted[name]} == {}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("patients", "auroc"), [(15, 0.97), (20, 0.9), (40, 0.85), (100, 0.9)])
def test_the_intercept_of_moved_scores_is_held_in_93_to_97_of_a_hundred(patients: int, auroc: float) -> None:
    rng = np.random.default_rng(1)

    def move(cohort: Cohort) -> Cohort:
        return move_cohort(cohort, 0.5, float(cohort.is_covid.mean()))

    many = move(simulate_cohort(rng, patients=30_000, auroc=auroc))
    truth = float(calibration_intercept(many)(np.ones((1, many.patients), dtype=np.float32))[0])
    held = 0
    for _ in range(1000):
        cohort = move(simulate_cohort(rng, patients=patients, auroc=auroc))
        measured = {"intercept": calibration_intercept(cohort)}
        resampled = resample_statistics(measured, cohort, resamples=300, seed=int(rng.integers(2**31)))["intercept"]
        found = line_interval(*resampled, patients=patients)
        assert found is not None
        held += found.low <= truth <= found.high

    assert 0.93 <= held / 1000 <= 0.97 + 0.01  # two standard errors of the simulation are 0.013
