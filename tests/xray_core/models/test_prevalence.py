"""A score moved to another share of covid: Bayes, its ends, and whose mix is known."""

from __future__ import annotations

import numpy as np
import pytest

from xray_core.models.operating_point import choose_operating_point
from xray_core.models.prevalence import find_mix, move_to_prevalence, say_mix
from xray_core.models.records import OperatingPoint
from xray_core.records import Split


def test_it_is_bayes_with_the_likelihood_ratio_that_the_score_says() -> None:
    # 0.83 where half are covid says a likelihood ratio of 0.83 / 0.17; at 10 %: odds 0.5425, P 0.3517.
    assert float(move_to_prevalence(0.83, 0.5, 0.1)) == pytest.approx(0.3517, abs=5e-5)
    # There and back, from any mix.
    scores = np.array([0.0, 1e-9, 0.3, 0.5, 1.0])
    moved = move_to_prevalence(move_to_prevalence(scores, 0.67, 0.02), 0.02, 0.67)
    assert moved == pytest.approx(scores, abs=1e-12)
    assert move_to_prevalence(scores, 0.3, 0.3) == pytest.approx(scores, abs=1e-15)


def test_counts_in_another_mix_come_out_as_they_are() -> None:
    # Of 100 covid films 80 look dark, of 100 normal ones 20: where 1 in 5 is covid, 80 of 160 dark ones are.
    assert float(move_to_prevalence(80 / 100, 0.5, 0.2)) == pytest.approx(80 / 160)


def test_the_mix_is_kept_or_that_of_the_validation_side_of_before_or_unknown() -> None:
    now = choose_operating_point([0.2, 0.9], [False, True], ["a", "b"])
    before = OperatingPoint(0.3, 0.7, 0.95, 1.0, 0.9, 31, 15, Split.VALIDATION)
    imported = OperatingPoint(0.5, 0.5, None, None, None, 0, 0, None)

    assert (find_mix(now), find_mix(before), find_mix(imported)) == (0.5, 31 / 46, None)
    assert "50% of the X-rays are covid" in say_mix(now)
    assert "67%" in say_mix(before)
    assert "nobody knows" in say_mix(imported)
