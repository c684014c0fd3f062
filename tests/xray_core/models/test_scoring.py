"""Decoded X-rays to scores: what the model cannot say is no score, and nothing is asked twice."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes import BrightnessClassifier
from tests.hostile_files import encode, film
from xray_core.imaging.radiograph import read_radiograph
from xray_core.models.scoring import Scored, score_batches
from xray_core.processes.decoder import Decoded
from xray_core.processes.decoding import Undecoded
from xray_core.records import ReasonCode, Refusal


class DividingClassifier:
    """A network that divides by what may be zero: bright X-rays get `wrong`, the others their brightness."""

    def __init__(self, wrong: float) -> None:
        self._wrong = wrong

    def predict(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        brightness = grey.mean(axis=(1, 2)) / 255
        return np.where(brightness > 0.5, self._wrong, brightness).astype(np.float32)


def decoded(key: int, level: int, *, content: str | None = None) -> Decoded:
    grey = np.full((8, 8), level, dtype=np.uint8)
    facts = read_radiograph(encode(film(), "PNG")).facts
    return Decoded(key, content or f"{key:064d}", grey, facts, "0f" * 8, 0.001)


def nothing_known(_: Collection[str]) -> set[str]:
    return set()


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), float("-inf"), 1.5, -0.1])
def test_what_is_no_probability_is_refused_and_the_rest_of_the_batch_is_scored(wrong: float) -> None:
    files = [decoded(0, 51), decoded(1, 255), decoded(2, 102)]

    (batch,) = score_batches(files, DividingClassifier(wrong), batch_size=8, find_scored=nothing_known)

    dark, bright, grey = batch
    assert isinstance(bright, Undecoded)
    assert bright.refusal.reason is ReasonCode.NON_FINITE_SCORE
    assert bright.sha256 == files[1].sha256
    assert isinstance(dark, Scored)
    assert isinstance(grey, Scored)
    assert dark.probability == pytest.approx(0.2)
    assert grey.probability == pytest.approx(0.4)


def test_content_that_was_scored_before_or_comes_twice_is_asked_once() -> None:
    classifier = BrightnessClassifier()
    files = [decoded(0, 10, content="a" * 64), decoded(1, 20, content="b" * 64), decoded(2, 20, content="b" * 64)]

    (batch,) = score_batches(files, classifier, batch_size=8, find_scored=lambda _: {"a" * 64})

    assert classifier.seen == 1
    probabilities = [item.probability for item in batch if isinstance(item, Scored)]
    assert probabilities[0] is None
    assert [probability for probability in probabilities[1:] if probability is not None] == [pytest.approx(20 / 255)]


def test_refused_files_travel_with_their_batch_and_every_batch_is_as_large_as_it_may_be() -> None:
    refused = Undecoded(9, None, Refusal(ReasonCode.EMPTY, "0 bytes"))
    files = [decoded(0, 10), refused, decoded(1, 20), decoded(2, 30), decoded(3, 40)]

    batches = list(score_batches(files, BrightnessClassifier(), batch_size=2, find_scored=nothing_known))

    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert batches[0][1] is refused
