"""Confident learning on scores that knew nothing of the film: it names most wrong labels, and some right ones."""

from __future__ import annotations

import numpy as np
import pytest

from tests.xray_core.cohorts import simulate_scores
from xray_core.reading.label_errors import doubt_labels


def flip(seed: int, *, share: float = 0.1, auroc: float = 0.92) -> tuple[float, float, int]:
    """Precision, recall and number of doubted labels, where `share` of 200 labels were turned round."""
    rng = np.random.default_rng(seed)
    (scores,), truth, _ = simulate_scores(rng, patients=100, aurocs=(auroc,), most=1)
    wrong = np.zeros(len(truth), dtype=np.bool_)
    wrong[rng.choice(len(truth), round(share * len(truth)), replace=False)] = True
    doubted = doubt_labels(scores.tolist(), (truth ^ wrong).tolist())
    right = int(wrong[doubted].sum())
    return right / max(1, len(doubted)), right / max(1, int(wrong.sum())), len(doubted)


@pytest.mark.lengthy
def test_with_one_label_in_ten_turned_round_most_of_them_are_named_among_few_others() -> None:
    precision, recall, doubted = np.mean([flip(seed) for seed in range(200)], axis=0)

    assert 0.45 <= precision <= 0.60
    assert 0.60 <= recall <= 0.75
    assert doubted <= 35


def test_without_a_wrong_label_few_are_doubted() -> None:
    doubted = np.mean([flip(seed, share=0)[2] for seed in range(50)])

    assert doubted <= 20  # of 200


def test_the_surest_contradiction_comes_first_and_one_class_alone_says_nothing() -> None:
    scores = [0.9, 0.9, 0.95, 0.1, 0.1, 0.99]

    assert doubt_labels(scores, [True, True, False, False, False, False]) == [5, 2]
    assert doubt_labels(scores, [True] * 6) == []
