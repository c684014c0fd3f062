"""How many more patients must be labelled before something can be told: what a person is told beside a "no"."""

from __future__ import annotations

import math
from typing import Final

from xray_core.evaluation.comparison import Difference
from xray_core.promotion.judged_on import SAMPLED_BY, JudgedOn
from xray_core.records import HELD_OUT, Interval

_TEST_SHARE: Final = HELD_OUT / 2
_MOST: Final = 10_000


def say_more_labelled(test_patients: float, kind: str) -> str:
    """The labelled patients of a kind that bring so many more to the test side, by its share of all patients."""
    labelled = test_patients / _TEST_SHARE
    number = f"about {math.ceil(labelled - 1e-9):,}" if labelled <= _MOST else f"more than {_MOST:,}"
    return f"{number} more labelled {kind} patients"


def say_larger_sample(judged_on: JudgedOn | None) -> str:
    """What helps where a sample of the test side judges, said behind the labels that are missing; else nothing."""
    if judged_on is None or judged_on.sampled is None:
        return ""
    return f" (of a class of which a sample judges: a larger {SAMPLED_BY})"


def count_more(patients: int, figure: Interval | Difference, bound: float) -> float:
    """How many more test patients bring the low end of `figure` up to `bound`, should its value stay as it is.

    A 95 % interval narrows with the square root of the number of patients. Infinite where the value itself is not
    above the bound.
    """
    room, width = figure.value - bound, figure.value - figure.low
    return math.inf if room <= 0 else patients * max(0.0, (width / room) ** 2 - 1)
