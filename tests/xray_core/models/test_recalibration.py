"""Recalibration: defined on any validation side, near maximum likelihood on a large one, never a change of ranking."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from xray_core.evaluation.bootstrap import make_cohort
from xray_core.evaluation.calibration import calibration_intercept, calibration_slope
from xray_core.models.prevalence import move_to_prevalence
from xray_core.models.recalibration import LOWEST_SLOPE, Recalibration, choose_recalibration, fit_recalibration

pytestmark = pytest.mark.lengthy


def draw(xrays: int, *, intercept: float, slope: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of a network whose scores need just this intercept and this slope to be right."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(0, 3, xrays)
    return log_odds, rng.random(xrays) < expit(intercept + slope * log_odds)


def test_many_xrays_give_the_line_that_they_were_drawn_with() -> None:
    log_odds, is_covid = draw(50_000, intercept=-0.7, slope=0.4, seed=1)

    found = fit_recalibration(log_odds, is_covid)

    # In a mix that is half covid: less the odds of the mix that they were drawn in.
    assert found.intercept == pytest.approx(-0.7 - logit(is_covid.mean()), abs=0.05)
    assert found.slope == pytest.approx(0.4, abs=0.02)
    assert found.xrays == 50_000


def test_with_many_xrays_it_is_scikit_learns_maximum_likelihood() -> None:
    log_odds, is_covid = draw(20_000, intercept=0.3, slope=1.6, seed=2)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, class_weight="balanced").fit(log_odds[:, np.newaxis], is_covid)

    found = fit_recalibration(log_odds, is_covid)

    assert found.intercept == pytest.approx(float(theirs.intercept_[0]), abs=8e-3)
    assert found.slope == pytest.approx(float(theirs.coef_[0, 0]), abs=8e-3)


def test_of_two_xrays_the_line_is_where_likelihood_and_prior_balance() -> None:
    # By symmetry the intercept is 0; by hand: d/db [2 log(1 + exp(-2b)) + (b - 1)^2 / 0.18] = 0.
    found = fit_recalibration(np.array([-2.0, 2.0]), np.array([False, True]))

    assert found.intercept == pytest.approx(0, abs=1e-6)
    assert found.slope - 1 == pytest.approx(0.36 * float(expit(-2 * found.slope)), abs=1e-6)


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


def test_it_is_made_only_where_it_helps_patients_that_it_was_not_fitted_to() -> None:
    rng = np.random.default_rng(8)
    patients = [str(n) for n in range(400)]
    is_covid = np.arange(400) % 2 == 0
    right = np.where(is_covid, 2.0, -2.0) + 2 * rng.normal(size=400)  # log-odds of their own likelihood ratio

    overconfident = choose_recalibration(right / 0.3, is_covid, patients)
    as_it_is = choose_recalibration(np.array([-1.0, 1, 2, -2, 0.1, 0.2]), np.arange(6) % 2 == 0, list("abcdef"))

    assert overconfident.slope < 0.5
    assert overconfident.gain is not None
    assert overconfident.gain_error is not None
    assert overconfident.gain > overconfident.gain_error
    assert as_it_is.is_unchanged
    assert as_it_is.gain is not None  # it was tried, and what it came to is kept


def test_more_films_of_one_patient_are_no_more_evidence_that_it_helps() -> None:
    log_odds = np.array([3.0, -3.0, 2.0, -2.0, -2.5, 2.5, 1.0, -1.0])
    is_covid = np.array([True, False, True, False, True, False, True, False])
    patients = list("abcdefgh")

    once = choose_recalibration(log_odds, is_covid, patients)
    often = choose_recalibration(np.tile(log_odds, 30), np.tile(is_covid, 30), patients * 30)

    assert once.gain is not None
    assert often.gain_error is not None
    assert often.gain_error > 0.2 * (once.gain_error or 0)  # thirty patients' worth would have a fifth


def simulate_sides(
    sides: int, *, intercept: float, slope: float, distance: float = 1.8, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """What recalibration does on simulated validation sides of 30 to 46 X-rays in the mix that chance gives.

    The network says (log of the true likelihood ratio - intercept) / slope. Exact for each side: how much the log-loss
    in a half-covid mix changes for new X-rays, and how far P(covid) at a prevalence of 0.1 is from the truth there.
    """
    rng = np.random.default_rng(seed)
    places = np.linspace(-4, 4, 161)
    chance = np.exp(-(places**2) / 2) / np.exp(-(places**2) / 2).sum()
    new = {truth: (1 if truth else -1) * distance**2 / 2 + distance * places for truth in (True, False)}

    def judge(line: Recalibration) -> tuple[float, float]:
        loss = off = 0.0
        for truth, share in ((True, 0.1), (False, 0.9)):
            scores = line.apply((new[truth] - intercept) / slope)
            loss -= chance @ np.log(scores if truth else 1 - scores) / 2
            off += share * chance @ np.abs(move_to_prevalence(scores, 0.5, 0.1) - expit(new[truth] + logit(0.1)))
        return loss, float(off)

    before, _ = judge(Recalibration(0.0, 1.0, 0))
    changes, distances = [], []
    for _ in range(sides):
        xrays = rng.integers(30, 47)
        is_covid = rng.permutation(np.arange(xrays) < rng.integers(xrays // 3, 1 + 2 * xrays // 3))
        true = np.where(is_covid, 1, -1) * distance**2 / 2 + distance * rng.normal(size=xrays)
        line = choose_recalibration((true - intercept) / slope, is_covid, [str(n) for n in range(xrays)])
        after, off = judge(line)
        changes.append(after - before)
        distances.append(off)
    return np.array(changes), np.array(distances)


NETWORKS = [(0.0, 0.4), (0.7, 0.4), (0.0, 0.7), (0.7, 0.7), (0.0, 1.0), (0.7, 1.0), (0.0, 1.5), (0.7, 1.5)]


@pytest.mark.parametrize(("intercept", "slope"), [(0.0, 0.4), (0.0, 1.0)])
def test_on_a_few_dozen_x_rays_it_helps_a_wrong_network_and_hardly_hurts_a_right_one(
    intercept: float, slope: float
) -> None:
    changes, distances = simulate_sides(30, intercept=intercept, slope=slope, seed=1)

    assert changes.mean() < (0.01 if slope == 1 else -0.05)
    assert distances.mean() < 0.05


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_on_sides_of_30_to_46_the_log_loss_is_not_worse_and_the_moved_probability_is_right_to_three_hundredths() -> (
    None
):
    """Over eight networks, from overconfident to shy, 200 sides each."""
    found = [simulate_sides(200, intercept=a, slope=b, seed=place) for place, (a, b) in enumerate(NETWORKS)]

    changes, distances = np.array([one[0] for one in found]), np.array([one[1] for one in found])

    assert changes.mean() < 0
    assert changes.mean(axis=1).max() < 0.006  # a network that was right loses a little: 0.003, standard error 0.0005
    assert distances.mean() < 0.03


def test_the_recalibrated_scores_of_a_large_set_have_slope_one_and_intercept_zero() -> None:
    log_odds, is_covid = draw(20_000, intercept=-0.5, slope=0.5, seed=7)
    found = fit_recalibration(log_odds, is_covid)
    scores = move_to_prevalence(found.apply(log_odds), 0.5, float(is_covid.mean()))
    cohort = make_cohort(scores, is_covid.tolist(), [str(place) for place in range(len(is_covid))])

    whole = np.ones((1, cohort.patients), dtype=np.float32)

    assert calibration_slope(cohort)(whole)[0] == pytest.approx(1, abs=0.01)
    assert calibration_intercept(cohort)(whole)[0] == pytest.approx(0, abs=0.01)
