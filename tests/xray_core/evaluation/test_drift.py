"""Drift: said when it matters and can be told, and otherwise not."""

from __future__ import annotations

import numpy as np
import pytest

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
