"""What the plots of a training show."""

from __future__ import annotations

import numpy as np
import pytest

from xray_core.evaluation.evaluation import evaluate
from xray_core.models.records import OperatingPoint
from xray_core.training.evaluation_plots import find_thresholds


def test_the_thresholds_on_the_roc_plot_are_the_shares_of_the_confusion_counts() -> None:
    scores = np.array([0.9, 0.8, 0.5, 0.1, 0.85, 0.4, 0.2, 0.1, 0.1, 0.05])
    is_covid = [True] * 4 + [False] * 6
    point = OperatingPoint(0.3, 0.7, 0.95, None, None, 4, 6, None)

    evaluation = evaluate(scores, is_covid, [str(n) for n in range(10)], point, prevalence=0.1, resamples=50)

    assert np.array(find_thresholds(evaluation)) == pytest.approx(np.array([(1 / 6, 2 / 4), (2 / 6, 3 / 4)]))
