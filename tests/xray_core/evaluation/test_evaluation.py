"""The evaluation: figures that hang together, honest on edges, the same again from its JSON."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from tests.evaluations import read_evaluation
from tests.xray_core.cohorts import simulate_scores
from xray_core.evaluation.evaluation import Evaluation, evaluate
from xray_core.evaluation.slices import name_slices
from xray_core.evaluation.two_thresholds import ConfusionRow, measure_thresholds
from xray_core.models.operating_point import choose_operating_point
from xray_core.models.prevalence import move_to_prevalence
from xray_core.models.records import OperatingPoint
from xray_core.records import DECISION_THRESHOLDS, FileFormat, Interval, Label, LabelledXray


def evaluate_simulated(*, patients: int = 60, auroc: float = 0.9, prevalence: float = 0.1, seed: int = 1) -> Evaluation:
    (scores,), is_covid, names = simulate_scores(np.random.default_rng(0), patients=patients, aurocs=(auroc,))
    views = ["PA" if place % 3 else "AP" for place in range(len(names))]
    sources = ["rare" if place < 5 else "covid site" if is_covid[place] else "site" for place in range(len(names))]
    return evaluate(
        scores,
        is_covid.tolist(),
        names,
        choose_operating_point(scores, is_covid, names),
        prevalence=prevalence,
        slices={"view": views, "source": sources},
        seed=seed,
        resamples=300,
    )


def test_an_evaluation_is_read_back_as_it_was_written() -> None:
    found = evaluate_simulated()

    assert read_evaluation(found.to_json()) == found


def test_the_same_seed_gives_the_same_evaluation() -> None:
    assert evaluate_simulated() == evaluate_simulated()
    assert evaluate_simulated() != evaluate_simulated(seed=2)


def test_every_figure_lies_in_its_interval_and_every_class_is_counted() -> None:
    found = evaluate_simulated()

    for field in found.figures.__slots__:
        interval = getattr(found.figures, field)
        assert isinstance(interval, Interval), field
        assert interval.low <= interval.value <= interval.high, field
    assert (found.covid.patients, found.normal.patients, found.patients) == (60, 60, 120)
    rows = (found.confusion_covid, found.confusion_normal)
    assert [row.positive + row.refer + row.negative for row in rows] == [found.covid.xrays, found.normal.xrays]


def test_the_figures_follow_from_the_confusion_matrix() -> None:
    found = evaluate_simulated()
    covid, normal, figures = found.confusion_covid, found.confusion_normal, found.figures

    assert figures.sensitivity_at_lower is not None
    assert figures.sensitivity_at_lower.value == pytest.approx(1 - covid.negative / found.covid.xrays)
    assert figures.specificity_at_upper is not None
    assert figures.specificity_at_upper.value == pytest.approx(1 - normal.positive / found.normal.xrays)
    assert figures.precision is not None
    assert figures.precision.value == pytest.approx(covid.positive / (covid.positive + normal.positive))
    hit, alarm = covid.positive / found.covid.xrays, normal.positive / found.normal.xrays
    assert figures.ppv is not None
    assert figures.ppv.value == pytest.approx(0.1 * hit / (0.1 * hit + 0.9 * alarm))


def test_each_threshold_has_a_pair_of_its_own_and_both_lie_on_the_roc_curve() -> None:
    found = evaluate_simulated()
    both = measure_thresholds(found.confusion_covid, found.confusion_normal)
    assert both is not None
    figures = found.figures

    for name, pair in (("lower", both.lower), ("upper", both.upper)):
        sensitivity, specificity = (getattr(figures, f"{kind}_at_{name}") for kind in ("sensitivity", "specificity"))
        assert (sensitivity.value, specificity.value) == pytest.approx((pair.sensitivity, pair.specificity))
        left = max(point.y for point in found.roc if point.x < 1 - pair.specificity - 1e-9)
        right = min(point.y for point in found.roc if point.x > 1 - pair.specificity + 1e-9)
        assert left - 0.02 <= pair.sensitivity <= right + 0.02
    assert both.lower.sensitivity > both.upper.sensitivity  # nothing is counted as right on both sides
    assert both.lower.specificity < both.upper.specificity
    assert figures.refer_share_covid is not None
    assert figures.refer_share_covid.value == pytest.approx(both.lower.sensitivity - both.upper.sensitivity)
    assert figures.refer_share_normal is not None
    assert figures.refer_share_normal.value == pytest.approx(both.upper.specificity - both.lower.specificity)


def test_the_flattering_pair_of_both_thresholds_is_none_of_the_pairs() -> None:
    both = measure_thresholds(ConfusionRow(60, 35, 5), ConfusionRow(0, 40, 60))

    assert both is not None
    pairs = {(pair.sensitivity, pair.specificity) for pair in (both.lower, both.upper)}
    assert pairs == {(0.95, 0.6), (0.6, 1.0)}  # and not 0.95 with 1.0
    assert str(both) == (
        "at the lower threshold sensitivity 0.950 and specificity 0.600, at the upper 0.600 and 1.000; "
        "38% referred (35% of covid, 40% of normal)"
    )
    assert measure_thresholds(ConfusionRow(1, 0, 0), ConfusionRow(0, 0, 0)) is None


@pytest.mark.parametrize(("prevalence", "ppv", "npv"), [(0.75, 0.88, 0.67), (0.25, 0.45, 0.95)])
def test_the_predictive_values_of_a_published_example_are_reproduced(prevalence: float, ppv: float, npv: float) -> None:
    # Altman and Bland, BMJ 1994;309:102: liver scans, 231 of 258 abnormal and 54 of 86 normal ones called rightly.
    scores = [0.9] * 231 + [0.1] * 27 + [0.1] * 54 + [0.9] * 32
    truth = [True] * 258 + [False] * 86
    point = OperatingPoint(0.5, 0.5, None, None, None, 0, 0, None)

    figures = evaluate(
        scores, truth, [str(n) for n in range(344)], point, prevalence=prevalence, slices={}, resamples=50
    ).figures

    assert figures.ppv is not None
    assert figures.npv is not None
    assert (figures.ppv.value, figures.npv.value) == pytest.approx((ppv, npv), abs=0.005)


def test_a_rarer_disease_lowers_the_positive_predictive_value_and_nothing_else() -> None:
    common, rare = (asdict(evaluate_simulated(prevalence=p).figures) for p in (0.5, 0.01))

    assert rare["ppv"]["value"] < common["ppv"]["value"]
    assert rare["npv"]["value"] > common["npv"]["value"]
    changed = {name for name in common if common[name] != rare[name]}
    assert changed == {"ppv", "npv", "net_benefit"}


def test_slices_under_twenty_say_too_few_and_slices_of_one_class_say_which() -> None:
    slices = {(part.name, part.value): part for part in evaluate_simulated().slices}

    assert slices["source", "rare"].remark == "too few"
    assert slices["source", "rare"].sensitivity_at_lower is None
    assert slices["source", "covid site"].remark == "only covid"
    assert slices["source", "covid site"].auroc is None
    assert slices["source", "covid site"].sensitivity_at_lower is not None
    assert slices["view", "AP"].auroc is not None


def test_a_perfect_model_on_few_patients_is_given_wide_intervals() -> None:
    scores, truth = [0.1] * 8 + [0.9] * 8, [False] * 8 + [True] * 8
    patients = [str(n) for n in range(16)]

    figures = evaluate(
        scores, truth, patients, OperatingPoint(0.5, 0.5, None, None, None, 8, 8, None), prevalence=0.1
    ).figures

    assert figures.auroc is not None
    assert figures.auroc.value == 1.0
    assert figures.auroc.low < 0.7
    assert figures.sensitivity_at_lower is not None
    assert figures.sensitivity_at_lower.low == pytest.approx(0.6306, abs=5e-5)  # exact, 8 of 8
    assert figures.calibration_slope is None


def test_one_class_alone_has_only_the_figures_that_it_can_tell() -> None:
    point = OperatingPoint(0.5, 0.5, None, None, None, 1, 1, None)

    found = evaluate([0.8, 0.9], [True, True], ["a", "b"], point, prevalence=0.1)

    assert found.figures.auroc is None
    assert found.figures.ppv is None
    assert found.figures.sensitivity_at_lower is not None
    assert found.roc == ()


@pytest.mark.parametrize("prevalence", [0.0, 1.0, 1.5])
def test_an_impossible_prevalence_is_refused(prevalence: float) -> None:
    with pytest.raises(ValueError, match="prevalence"):
        evaluate([0.5], [True], ["a"], choose_operating_point([], [], []), prevalence=prevalence)


def test_slices_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="received 1 values for 2 X-rays"):
        evaluate(
            [0.2, 0.8],
            [False, True],
            ["a", "b"],
            choose_operating_point([], [], []),
            prevalence=0.1,
            slices={"v": ["x"]},
        )


def test_slices_are_named_from_what_is_known_of_an_x_ray() -> None:
    xray = LabelledXray(
        1, "0" * 64, "a", Label.COVID, "g", True, None, "PA", "F", "40-59", FileFormat.JPEG, 640, 480, "0" * 16
    )

    assert name_slices([xray]) == {
        "source": ["unknown"],
        "view": ["PA"],
        "sex": ["F"],
        "age group": ["40-59"],
        "format": ["jpeg"],
        "size": ["up to 1024 pixels"],
    }


def test_where_one_patient_owns_more_than_a_tenth_of_the_x_rays_it_is_said_that_intervals_are_too_narrow() -> None:
    scores, truth = [0.1, 0.9] * 20, [False, True] * 20
    point = OperatingPoint(0.5, 0.5, None, None, None, 20, 20, None)

    few, many = (
        evaluate(scores, truth, [str(max(0, n - own)) for n in range(40)], point, prevalence=0.1, resamples=50)
        for own in (2, 6)
    )

    assert few.caution is None
    assert many.caution is not None
    assert many.caution.startswith("One patient owns 18% of these X-rays")


def test_net_benefit_and_decision_curve_are_of_scores_moved_to_the_prevalence() -> None:
    found = evaluate_simulated(prevalence=0.1)
    scores, truth, _ = simulate_scores(np.random.default_rng(0), patients=60, aurocs=(0.9,))
    moved = move_to_prevalence(scores[0], 0.5, 0.1)

    assert [point.threshold for point in found.decision] == list(DECISION_THRESHOLDS)
    for point in found.decision:
        flagged = moved >= point.threshold
        odds = point.threshold / (1 - point.threshold)
        expected = 0.1 * flagged[truth].mean() - 0.9 * flagged[~truth].mean() * odds
        assert point.model == pytest.approx(expected)


def test_scores_of_which_nobody_knows_the_mix_have_no_net_benefit() -> None:
    point = OperatingPoint(0.5, 0.5, None, None, None, 0, 0, None)

    found = evaluate([0.2, 0.8] * 10, [False, True] * 10, [str(n) for n in range(20)], point, prevalence=0.1)

    assert found.decision == ()
    assert found.figures.net_benefit is None
