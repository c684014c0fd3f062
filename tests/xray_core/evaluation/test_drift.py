"""Drift: said when it matters and can be told, and otherwise not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency, ks_2samp

from xray_core.evaluation import drift
from xray_core.evaluation.drift import find_drift, summarise_greys


def test_the_same_kind_of_x_rays_has_not_moved() -> None:
    rng = np.random.default_rng(0)

    found = find_drift({"score": rng.normal(size=200)}, {"score": rng.normal(size=200)})

    assert not found.moved
    assert found.sentence.startswith("Nothing has moved")


def test_scores_that_shifted_have_moved_and_it_says_which() -> None:
    rng = np.random.default_rng(0)
    reference = {"score": rng.normal(size=200), "width": rng.normal(size=200)}
    incoming = {"score": rng.normal(loc=1, size=100), "width": rng.normal(size=100)}

    found = find_drift(reference, incoming)

    assert found.moved
    assert [shift.name for shift in found.figures if shift.has_moved] == ["score"]
    assert "score (shift 0." in found.sentence


def test_a_difference_too_small_to_matter_is_no_drift_however_many_x_rays_show_it() -> None:
    rng = np.random.default_rng(0)

    found = find_drift({"score": rng.normal(size=20_000)}, {"score": rng.normal(loc=0.2, size=20_000)})

    assert found.figures[0].p_value < 0.001
    assert not found.moved


def test_a_new_file_format_is_drift() -> None:
    found = find_drift({"format": ["png"] * 80 + ["jpeg"] * 20}, {"format": ["dicom"] * 40 + ["png"] * 20})

    assert found.moved
    assert found.figures[0].size == pytest.approx(2 / 3)


def test_too_few_x_rays_tell_nothing() -> None:
    found = find_drift({"score": np.zeros(500)}, {"score": np.ones(29)})

    assert not found.moved
    assert found.sentence == "Too few X-rays to tell: 29, 30 are needed on either side."


def test_figures_of_different_names_are_not_compared() -> None:
    with pytest.raises(ValueError, match="expected the figures"):
        find_drift({"score": [0.1]}, {"width": [1.0]})


def test_brighter_pictures_have_moved() -> None:
    rng = np.random.default_rng(1)
    greys = rng.integers(0, 200, (60, 20, 20)).astype(np.uint8)

    found = find_drift(summarise_greys(greys), summarise_greys(greys + np.uint8(40)))

    assert "mean grey level" in found.sentence


def test_false_alarms_over_several_figures_stay_at_one_in_a_hundred() -> None:
    rng = np.random.default_rng(2)
    alarms = sum(
        find_drift(
            {name: rng.normal(size=40) for name in "abcdef"}, {name: rng.normal(size=40) for name in "abcdef"}
        ).moved
        for _ in range(300)
    )

    assert alarms <= 8  # 3, and three standard errors


@pytest.mark.parametrize("sizes", [(30, 30), (30, 200), (200, 500), (500, 40)])
def test_the_p_value_of_numbers_is_that_of_scipy(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(7)
    for shift in (0.0, 0.2, 0.5, 1.0, 3.0):
        before, after = rng.normal(size=sizes[0]), rng.normal(loc=shift, size=sizes[1])

        (found,) = find_drift({"score": before}, {"score": after}).figures

        expected = ks_2samp(before, after)
        assert found.size == pytest.approx(expected.statistic, abs=1e-12)
        assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("words", [2, 3, 4, 7])
def test_the_p_value_of_words_is_that_of_scipy(words: int) -> None:
    rng = np.random.default_rng(words)
    for steepness in (0.0, 0.1, 0.3, 1.0):
        weights = np.exp(-steepness * np.arange(words))
        before = rng.choice([f"w{n}" for n in range(words)], 200).tolist()
        after = rng.choice([f"w{n}" for n in range(words)], 100, p=weights / weights.sum()).tolist()

        (found,) = find_drift({"format": before}, {"format": after}).figures

        kinds = sorted({*before, *after})
        counts = [[side.count(kind) for kind in kinds] for side in (before, after)]
        assert found.p_value == pytest.approx(chi2_contingency(counts).pvalue, rel=1e-9)


def test_the_p_value_of_large_samples_is_near_that_of_scipy() -> None:
    rng = np.random.default_rng(7)
    for shift in (0.0, 0.02, 0.05, 0.1):
        before, after = rng.normal(size=3_000), rng.normal(loc=shift, size=4_000)

        (found,) = find_drift({"score": before}, {"score": after}).figures

        assert found.p_value == pytest.approx(ks_2samp(before, after).pvalue, abs=0.02)


@pytest.mark.parametrize("count", [1, 7, 20])
def test_the_figures_of_films_are_the_same_however_many_are_looked_at_at_a_time(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    greys = np.random.default_rng(4).integers(0, 256, (count, 15, 10)).astype(np.uint8)
    at_once = summarise_greys(greys)
    monkeypatch.setattr(drift, "_AT_A_TIME", 7)

    some_at_a_time = summarise_greys(greys)

    assert [values.tolist() for values in some_at_a_time.values()] == [values.tolist() for values in at_once.values()]
    assert len(at_once["contrast"]) == count
