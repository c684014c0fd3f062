"""Films of one class are mostly of one view: then pairs of one view judge."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from tests.xray_core.cohorts import simulate_scores
from xray_core.evaluation import statistics
from xray_core.evaluation.bootstrap import Cohort, make_cohort, resample_patients
from xray_core.evaluation.evaluation import evaluate
from xray_core.evaluation.views import WithinView, judge_within_view
from xray_core.models.records import OperatingPoint

POINT = OperatingPoint(0.4, 0.6, 0.95, None, None, 0, 0, None)


def mix_views(rng: np.random.Generator, is_covid: NDArray[np.bool_], share: float) -> NDArray[np.str_]:
    """AP for `share` of the covid films, and for 1 - share of the others."""
    return np.where(rng.random(len(is_covid)) < np.where(is_covid, share, 1 - share), "AP", "PA")


def make_view_reader(seed: int = 0, *, share: float = 0.85) -> tuple[Cohort, NDArray[np.str_]]:
    """A model that knows the view and nothing else."""
    rng = np.random.default_rng(seed)
    _, is_covid, names = simulate_scores(rng, patients=80, aurocs=(0.5,))
    views = mix_views(rng, is_covid, share)
    scores = np.where(views == "AP", 0.7, 0.3) + rng.normal(0, 0.05, len(views))
    return make_cohort(scores.clip(0, 1), is_covid.tolist(), names), views


def test_a_model_that_knows_the_view_alone_ranks_no_better_than_chance_within_a_view() -> None:
    cohort, views = make_view_reader()

    whole = float(statistics.auroc(cohort)(np.ones((1, cohort.patients), np.float32))[0])
    found = judge_within_view(cohort, views.tolist(), resamples=300, seed=0)

    assert whole > 0.75
    assert found.view_alone is not None
    assert found.view_alone > 0.75
    assert found.auroc is not None
    assert found.auroc.low < 0.5 < found.auroc.high
    assert found.tells
    assert found.sentence.startswith("The view tells the class by itself (AUROC 0.")
    assert f"judge by pairs of one view, AUROC {found.auroc}." in found.sentence


def test_the_auroc_within_views_is_that_of_each_view_weighed_by_its_pairs() -> None:
    cohort, views = make_view_reader(seed=1)
    strata = np.unique(views, return_inverse=True)[1]
    weights = next(resample_patients(cohort, resamples=5, seed=3))

    values = statistics.auroc_within(cohort, strata)(weights)

    for row, value in zip(weights, values, strict=True):
        drawn = row[cohort.patient_of]
        wins, pairs = 0.0, 0.0
        for view in ("AP", "PA"):
            of = views == view
            number = drawn[of & cohort.is_covid].sum() * drawn[of & ~cohort.is_covid].sum()
            wins += number * roc_auc_score(cohort.is_covid[of], cohort.probabilities[of], sample_weight=drawn[of])
            pairs += number
        assert value == pytest.approx(wins / pairs, abs=1e-5)


def test_views_that_say_nothing_of_the_class_are_named_so() -> None:
    cohort, views = make_view_reader(share=0.5)

    found = judge_within_view(cohort, views.tolist(), resamples=200, seed=0)

    assert not found.tells
    assert "hardly tells the class by itself" in found.sentence


def test_where_views_are_unknown_it_says_of_how_many_and_judges_the_rest() -> None:
    cohort, views = make_view_reader()
    some = np.where(np.arange(len(views)) % 4 == 0, "unknown", views)

    part = judge_within_view(cohort, some.tolist(), resamples=200, seed=0)
    none = judge_within_view(cohort, ["unknown"] * len(views), resamples=200, seed=0)

    assert f"known of {part.known} of {len(views)} X-rays," in part.sentence
    assert part.auroc is not None
    assert (none.known, none.view_alone, none.auroc) == (0, None, None)
    assert none.sentence == (
        f"The view is known of 0 of {len(views)} X-rays: whether it tells the class cannot be told."
    )


def test_where_the_view_of_one_class_alone_is_known_nothing_is_said_of_the_class() -> None:
    cohort, views = make_view_reader()
    known = np.where(cohort.is_covid, views, "unknown")

    found = judge_within_view(cohort, known.tolist(), resamples=200, seed=0)

    assert (found.view_alone, found.auroc) == (None, None)
    assert f"known of {int(cohort.is_covid.sum())} of {len(views)} X-rays, all of one class:" in found.sentence


def test_where_each_class_has_a_view_of_its_own_disease_and_view_cannot_be_told_apart() -> None:
    cohort, _ = make_view_reader()

    found = judge_within_view(cohort, np.where(cohort.is_covid, "AP", "PA").tolist(), resamples=200, seed=0)

    assert (found.view_alone, found.auroc) == (1.0, None)
    assert found.sentence.endswith("disease and view cannot be told apart.")


def test_an_evaluation_judges_within_views_where_it_is_given_them() -> None:
    cohort, views = make_view_reader()
    given = cohort.probabilities, cohort.is_covid.tolist(), cohort.patient_of.astype(str).tolist(), POINT

    found = evaluate(*given, prevalence=0.1, slices={"view": views.tolist()}, resamples=200)

    assert isinstance(found.within_view, WithinView)
    assert found.within_view.tells
    assert evaluate(*given, prevalence=0.1, resamples=200).within_view is None
