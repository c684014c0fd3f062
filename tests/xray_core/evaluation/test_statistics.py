"""Weighted statistics: equal to scikit-learn's, for every resample at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, roc_auc_score

from tests.xray_core.cohorts import simulate_cohort
from xray_core.evaluation import calibration, statistics
from xray_core.evaluation.bootstrap import Cohort, Statistic, count_resamples, make_cohort, resample_patients
from xray_core.evaluation.figures import measure_net_benefits

pytestmark = pytest.mark.lengthy

Oracle = Callable[[Cohort, NDArray[np.float32]], float]

AGAINST_SCIKIT_LEARN: dict[str, tuple[Callable[[Cohort], Statistic], Oracle]] = {
    "auroc": (statistics.auroc, lambda c, w: roc_auc_score(c.is_covid, c.probabilities, sample_weight=w)),
    "auprc": (
        statistics.average_precision,
        lambda c, w: average_precision_score(c.is_covid, c.probabilities, sample_weight=w),
    ),
    "brier": (statistics.brier, lambda c, w: brier_score_loss(c.is_covid, c.probabilities, sample_weight=w)),
    "f1": (
        lambda c: statistics.f1(c, c.probabilities >= 0.5),
        lambda c, w: f1_score(c.is_covid, c.probabilities >= 0.5, sample_weight=w),
    ),
    "calibration slope": (
        calibration.calibration_slope,
        lambda c, w: (
            LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
            .fit(log_odds(c)[:, np.newaxis], c.is_covid, sample_weight=w)
            .coef_[0, 0]
        ),
    ),
}


def log_odds(cohort: Cohort) -> NDArray[np.float64]:
    return np.log(cohort.probabilities / (1 - cohort.probabilities))


@pytest.mark.parametrize("name", AGAINST_SCIKIT_LEARN)
def test_every_resample_agrees_with_scikit_learn(name: str) -> None:
    make_statistic, oracle = AGAINST_SCIKIT_LEARN[name]
    rng = np.random.default_rng(1)
    cohort = simulate_cohort(rng, patients=25, auroc=0.8)
    scores = cohort.probabilities.clip(0.01, 0.99).round(2)  # with ties
    cohort = make_cohort(scores, cohort.is_covid.tolist(), cohort.patient_of.astype(str).tolist())
    weights = next(resample_patients(cohort, resamples=12, seed=3))

    values = make_statistic(cohort)(weights)

    expected = [oracle(cohort, row[cohort.patient_of]) for row in weights]
    assert values == pytest.approx(expected, abs=1e-5)


def test_the_auroc_of_a_published_example_is_reproduced() -> None:
    # Hanley and McNeil, Radiology 1982, Table I: 58 normal and 51 abnormal CT images rated 1 to 5; area 0.893.
    normal, abnormal = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)
    ratings = [r for counts in (normal, abnormal) for r, count in enumerate(counts) for _ in range(count)]
    truth = [False] * sum(normal) + [True] * sum(abnormal)
    cohort = make_cohort(np.array(ratings) / 4, truth, [str(n) for n in range(len(truth))])

    area = statistics.auroc(cohort)(np.ones((1, cohort.patients), dtype=np.float32))

    assert area[0] == pytest.approx(0.893, abs=0.0005)


def test_net_benefit_of_calling_everybody_positive_is_prevalence_less_weighed_alarms() -> None:
    cohort = make_cohort([0.9, 0.9], [True, False], ["a", "b"])
    weights = np.ones((1, 2), dtype=np.float32)

    assert statistics.net_benefit(cohort, 0.2, 0.1)(weights)[0] == pytest.approx(0.1 - 0.9 * 0.25)


def test_an_odd_x_ray_is_referred_and_neither_found_nor_an_alarm() -> None:
    cohort = make_cohort([0.9, 0.9, 0.9, 0.9], [True, True, False, False], list("abcd"), is_odd=[False, True] * 2)
    weights = np.ones((1, 4), dtype=np.float32)

    (interval,) = measure_net_benefits(cohort, [0.2], 0.1, resamples=50, seed=0)

    expected = 0.1 * 0.5 - 0.9 * 0.5 * 0.25
    assert statistics.net_benefit(cohort, 0.2, 0.1)(weights)[0] == pytest.approx(expected)
    assert interval is not None
    assert interval.value == pytest.approx(expected)


def test_one_class_has_no_area_under_the_curve() -> None:
    cohort = make_cohort([0.1, 0.9], [True, True], ["a", "b"])

    assert np.isnan(statistics.auroc(cohort)(np.ones((1, 2), dtype=np.float32))[0])


def test_scores_that_separate_the_classes_have_no_calibration_slope() -> None:
    cohort = make_cohort([0.1, 0.2, 0.8, 0.9], [False, False, True, True], list("abcd"))

    assert np.isnan(calibration.calibration_slope(cohort)(np.ones((1, 4), dtype=np.float32))[0])


def test_calibration_figures_of_a_calibrated_and_of_an_overfitted_model() -> None:
    rng = np.random.default_rng(4)
    odds = rng.normal(size=20_000)
    truth = (rng.random(20_000) < 1 / (1 + np.exp(-odds))).tolist()
    patients = [str(n) for n in range(20_000)]
    right, extreme = (make_cohort(1 / (1 + np.exp(-k * odds)), truth, patients) for k in (1, 2))
    whole = np.ones((1, 20_000), dtype=np.float32)

    assert calibration.calibration_slope(right)(whole)[0] == pytest.approx(1, abs=0.05)
    assert calibration.calibration_intercept(right)(whole)[0] == pytest.approx(0, abs=0.05)
    assert calibration.expected_calibration_error(right)(whole)[0] < 0.02
    assert calibration.calibration_slope(extreme)(whole)[0] == pytest.approx(0.5, abs=0.03)
    assert calibration.expected_calibration_error(extreme)(whole)[0] > 0.05


def test_the_expected_calibration_error_is_the_mean_gap_over_the_bins() -> None:
    cohort = make_cohort([0.05, 0.05, 0.95, 0.95], [False, True, True, True], list("abcd"))

    error = calibration.expected_calibration_error(cohort)(np.ones((1, 4), dtype=np.float32))

    assert error[0] == pytest.approx(0.5 * 0.45 + 0.5 * 0.05)


def test_up_to_a_thousand_films_take_two_thousand_resamples_and_more_take_fewer() -> None:
    assert [count_resamples(xrays) for xrays in (0, 30, 1000, 2000, 4000, 10**6)] == [2000, 2000, 2000, 1000, 500, 500]
