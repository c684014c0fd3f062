"""Recalibration: defined on any validation side, near maximum likelihood on a large one, never a change of ranking."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from xray_core.evaluation.bootstrap import make_cohort
from xray_core.evaluation.calibration import calibration_intercept, calibration_slope
from xray_core.models.recalibration import LOWEST_SLOPE, Recalibration, fit_recalibration

pytestmark = pytest.mark.lengthy


def draw(xrays: int, *, intercept: float, slope: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of a network whose scores need just this intercept and this slope to be right."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(0, 3, xrays)
    return log_odds, rng.random(xrays) < expit(intercept + slope * log_odds)


def test_many_xrays_give_the_line_that_they_were_drawn_with() -> None:
    log_odds, is_covid = draw(50_000, intercept=-0.7, slope=0.4, seed=1)

    found = fit_recalibration(log_odds, is_covid)

    assert found.intercept == pytest.approx(-0.7, abs=0.05)
    assert found.slope == pytest.approx(0.4, abs=0.02)
    assert found.xrays == 50_000


def test_with_many_xrays_it_is_scikit_learns_maximum_likelihood() -> None:
    log_odds, is_covid = draw(20_000, intercept=0.3, slope=1.6, seed=2)
    theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(log_odds[:, np.newaxis], is_covid)

    found = fit_recalibration(log_odds, is_covid)

    assert found.intercept == pytest.approx(float(theirs.intercept_[0]), abs=2e-3)
    assert found.slope == pytest.approx(float(theirs.coef_[0, 0]), abs=2e-3)


def test_of_two_xrays_the_line_is_where_likelihood_and_prior_balance() -> None:
    # By symmetry the intercept is 0; by hand: d/db [2 log(1 + exp(-2b)) + 2 (b - 1)^2] = 0 gives b - 1 = expit(-2b).
    found = fit_recalibration(np.array([-2.0, 2.0]), np.array([False, True]))

    assert found.intercept == pytest.approx(0, abs=1e-6)
    assert found.slope - 1 == pytest.approx(float(expit(-2 * found.slope)), abs=1e-6)


@pytest.mark.parametrize("scale", [0.001, 1.0, 200.0])
def test_perfectly_separated_xrays_have_a_line_too(scale: float) -> None:
    log_odds = scale * np.array([-3.0, -2, -1, 1, 2, 3])

    found = fit_recalibration(log_odds, log_odds > 0)

    assert 1 <= found.slope < 3
    assert abs(found.intercept) < 1e-6


def test_log_odds_beyond_what_float32_can_say_as_a_probability_count_as_what_they_are() -> None:
    log_odds = np.array([-400.0, -40, 40, 400, 40, -40])
    is_covid = np.array([False, False, True, True, False, True])

    found = fit_recalibration(log_odds, is_covid)

    assert found.slope < 0.3
    assert np.isfinite(found.apply(log_odds)).all()


@pytest.mark.parametrize("is_covid", [[], [True, True], [False]])
def test_without_both_classes_nothing_is_changed(is_covid: list[bool]) -> None:
    found = fit_recalibration(np.linspace(-1, 1, len(is_covid)), np.array(is_covid, dtype=np.bool_))

    assert found == Recalibration(0.0, 1.0, len(is_covid))


def test_a_network_that_ranks_backwards_is_made_unsure_and_not_turned_round() -> None:
    log_odds, is_covid = draw(2000, intercept=0, slope=-1, seed=3)

    found = fit_recalibration(log_odds, is_covid)

    assert found.slope == LOWEST_SLOPE


def test_no_pair_of_xrays_changes_its_order() -> None:
    log_odds, is_covid = draw(60, intercept=1, slope=0.3, seed=4)

    found = fit_recalibration(log_odds, is_covid)

    assert (np.argsort(found.apply(log_odds)) == np.argsort(log_odds)).all()
    assert roc_auc_score(is_covid, found.apply(log_odds)) == roc_auc_score(is_covid, log_odds)


def test_what_was_applied_can_be_undone() -> None:
    log_odds = np.linspace(-8, 8, 9)
    line = Recalibration(0.4, 0.7, 50)

    before = line.undo(logit(line.apply(log_odds)))

    assert before == pytest.approx(expit(log_odds), rel=1e-9)


@pytest.mark.parametrize("log_odds", [[np.nan, 1.0], [np.inf, 1.0], [1.0]])
def test_what_is_no_number_or_too_few_is_refused(
    log_odds: list[float],
) -> None:
    with pytest.raises(ValueError, match="expected as many, finite"):
        fit_recalibration(np.array(log_odds), np.array([True, False]))


@pytest.mark.parametrize(("intercept", "slope"), [(0.0, 0.4), (1.0, 0.7), (0.0, 1.0), (-0.5, 1.5)])
def test_from_forty_validation_xrays_new_ones_are_better_calibrated_or_hardly_worse(
    intercept: float, slope: float
) -> None:
    """Simulated: log loss on new X-rays before, after, and after maximum likelihood, which no prior holds back."""
    new, truth = draw(20_000, intercept=intercept, slope=slope, seed=99)
    before = log_loss(truth, expit(new))
    ours, plain = [], []

    for seed in range(40):
        log_odds, is_covid = draw(40, intercept=intercept, slope=slope, seed=seed)
        found = fit_recalibration(log_odds, is_covid)
        ours.append(log_loss(truth, found.apply(new)))
        fitted = LogisticRegression(C=np.inf, max_iter=1000).fit(log_odds[:, np.newaxis], is_covid)
        plain.append(log_loss(truth, fitted.predict_proba(new[:, np.newaxis])[:, 1]))

    assert np.mean(ours) < np.mean(plain) + 0.002
    assert np.mean(ours) < before + 0.02


def test_the_recalibrated_scores_of_a_large_set_have_slope_one_and_intercept_zero() -> None:
    log_odds, is_covid = draw(20_000, intercept=-0.5, slope=0.5, seed=7)
    found = fit_recalibration(log_odds, is_covid)
    cohort = make_cohort(found.apply(log_odds), is_covid.tolist(), [str(place) for place in range(len(is_covid))])

    whole = np.ones((1, cohort.patients), dtype=np.float32)

    assert calibration_slope(cohort)(whole)[0] == pytest.approx(1, abs=0.01)
    assert calibration_intercept(cohort)(whole)[0] == pytest.approx(0, abs=0.01)
