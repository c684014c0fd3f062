"""What the gate promises of a loop and of losses that few patients carry, by simulation; small in `make test`.

Each bound is the promise and three standard errors of the simulation.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from tests.xray_core.promotion.loops import is_promoted, run_loop, run_sampled_loop
from xray_core.promotion.policy import GateTest

AUROC = 0.92


def at_most(promise: float, cohorts: int) -> float:
    """How many of so many cohorts may break a promise, chance allowed for."""
    return promise * cohorts + 3 * sqrt(cohorts * promise * (1 - promise))


def count_ever_promoted(patients: int, cohorts: int) -> int:
    loops = (run_loop(seed, patients=patients, looks=20, auroc=AUROC, worse_by=0.05) for seed in range(cohorts))
    return sum(bool(loop.promoted_at) for loop in loops)


def count_promoted_with_rare_loss(patients: int, auroc: float, share: float, cohorts: int) -> int:
    return sum(is_promoted(seed, patients=patients, auroc=auroc, blind=share, is_like=True) for seed in range(cohorts))


@pytest.mark.lengthy
def test_of_twenty_candidates_worse_by_the_margin_hardly_ever_is_one_promoted() -> None:
    assert count_ever_promoted(30, cohorts=12) <= at_most(0.05, 12)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("patients", [30, 60])
def test_twenty_looks_promote_a_worse_candidate_in_five_of_a_hundred_loops_at_most(patients: int) -> None:
    assert count_ever_promoted(patients, cohorts=300) <= at_most(0.05, 300)


def count_ever_promoted_by_samples(most: int, cohorts: int) -> int:
    """A side that grows by four fifths in twenty looks: too little to be renewed, and half of its sample changes."""
    loops = (
        run_sampled_loop(seed, most=most, patients=(4 * most, 36 * most // 5), looks=20, auroc=AUROC)
        for seed in range(cohorts)
    )
    return sum(bool(loop.promoted_at) for loop in loops)


@pytest.mark.lengthy
def test_samples_of_a_growing_side_hardly_ever_promote_a_candidate_worse_by_the_margin() -> None:
    assert count_ever_promoted_by_samples(30, cohorts=6) <= at_most(0.05, 6)


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("most", [30, 60])
def test_twenty_looks_at_samples_promote_a_worse_candidate_in_five_of_a_hundred_loops_at_most(most: int) -> None:
    assert count_ever_promoted_by_samples(most, cohorts=300) <= at_most(0.05, 300)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_sample_of_the_usual_size_still_promotes_an_equal_candidate_at_the_twentieth_look() -> None:
    most = GateTest().most_judges

    assert sum(is_promoted(seed, patients=most, auroc=AUROC, look=20) for seed in range(40)) >= 38


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_loop_of_candidates_each_a_little_worse_loses_two_hundredths_at_most() -> None:
    ends = np.array([run_loop(seed, patients=60, looks=20, auroc=AUROC, worse_by=0.02).auroc for seed in range(300)])

    lost = AUROC - ends
    assert lost.mean() <= 0.02
    assert (lost >= 0.05 - 1e-9).sum() <= at_most(0.02, 300)


@pytest.mark.lengthy
def test_a_candidate_that_is_blind_for_a_tenth_of_the_patients_is_seldom_promoted() -> None:
    assert count_promoted_with_rare_loss(30, AUROC, 0.10, cohorts=100) <= at_most(0.06, 100)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("auroc", [0.92, 0.98])
def test_a_loss_in_a_tenth_of_the_patients_passes_in_six_of_a_hundred_at_most(auroc: float) -> None:
    assert count_promoted_with_rare_loss(30, auroc, 0.10, cohorts=1000) <= at_most(0.06, 1000)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("patients", [60, 100])
@pytest.mark.parametrize("auroc", [0.92, 0.98])
def test_a_rare_loss_of_just_the_margin_passes_in_six_of_a_hundred_at_most(patients: int, auroc: float) -> None:
    share = 0.05 / (auroc - 0.5)

    assert count_promoted_with_rare_loss(patients, auroc, share, cohorts=600) <= at_most(0.06, 600)
