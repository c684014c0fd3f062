"""Decoded X-rays to scores: what the model cannot say is no score, and nothing is asked twice."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes import BrightnessClassifier
from tests.hostile_files import encode, film
from xray_core.imaging.radiograph import read_radiograph
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.models.chest_reference import FEWEST_XRAYS, ChestReference, learn_reference
from xray_core.models.open_model import Classifier, OpenModel
from xray_core.models.records import ModelManifest, OperatingPoint, OutputMeaning
from xray_core.models.scoring import refuse_score, score_unscored
from xray_core.processes.decoder import Decoded
from xray_core.records import Label, Outcome, ReasonCode
from xray_core.synthetic.xrays import draw_xray


class DividingClassifier:
    """A network that divides by what may be zero: bright X-rays get `wrong`, the others their brightness."""

    def __init__(self, wrong: float) -> None:
        self._wrong = wrong

    def predict(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        brightness = grey.mean(axis=(1, 2)) / 255
        return np.where(brightness > 0.5, self._wrong, brightness).astype(np.float32)


def model_of(classifier: Classifier, reference: ChestReference | None = None) -> OpenModel:
    manifest = ModelManifest(
        version="m1",
        architecture="seed_cnn",
        preprocessing=Preprocessing(8, 8, 1, Scaling.UNIT),
        output=OutputMeaning.SIGMOID_COVID,
        operating_point=OperatingPoint(0.3, 0.7, 0.95, None, None, 0, 0, None),
        keras_sha256="0" * 64,
        onnx_sha256="0" * 64,
        label_set_sha256=None,
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
        code_revision="test",
        seed=None,
        training={},
        probe_outputs=(),
        files={},
    )
    return OpenModel(manifest, classifier, reference)


def decoded(level: int, *, content: str) -> Decoded:
    grey = np.full((8, 8), level, dtype=np.uint8)
    facts = read_radiograph(encode(film(), "PNG")).facts
    return Decoded(content * 64, grey, facts, "0f" * 8, 0.001)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), float("-inf"), 1.5, -0.1])
def test_what_is_no_probability_is_refused_and_the_rest_of_the_batch_is_scored(wrong: float) -> None:
    films = [decoded(51, content="a"), decoded(255, content="b"), decoded(102, content="c")]

    scores, _ = score_unscored(model_of(DividingClassifier(wrong)), films, set())

    dark, bright, grey = scores
    refusal = refuse_score(bright)
    assert refusal is not None
    assert refusal.reason is ReasonCode.NON_FINITE_SCORE
    assert dark is not None
    assert grey is not None
    assert refuse_score(dark) is refuse_score(grey) is None
    assert dark.probability == pytest.approx(0.2)
    assert grey.probability == pytest.approx(0.4)


def test_content_that_was_scored_before_or_comes_twice_is_asked_once() -> None:
    classifier = BrightnessClassifier()
    films = [decoded(10, content="a"), decoded(20, content="b"), decoded(20, content="b")]

    scores, _ = score_unscored(model_of(classifier), films, {"a" * 64})

    assert classifier.seen == 1
    assert scores[0] is None
    assert [score.probability for score in scores[1:] if score] == [pytest.approx(20 / 255)]


def test_a_batch_that_was_scored_before_asks_the_model_nothing() -> None:
    classifier = BrightnessClassifier()

    assert score_unscored(model_of(classifier), [decoded(10, content="a")], {"a" * 64}) == ([None], 0.0)
    assert classifier.seen == 0


def test_a_score_says_what_the_operating_point_makes_of_it() -> None:
    greys = np.stack([np.full((8, 8), level, dtype=np.uint8) for level in (10, 128, 250)])

    scores = model_of(BrightnessClassifier()).score(greys)

    assert [score.outcome for score in scores] == [Outcome.NEGATIVE, Outcome.REFER, Outcome.POSITIVE]
    assert {(score.distance, score.refer_reason) for score in scores} == {(None, None)}


def test_what_is_no_chest_film_is_referred_whatever_its_score() -> None:
    rng = np.random.default_rng(0)
    films = np.stack([draw_xray(rng, Label.NORMAL, 48) for _ in range(3 * FEWEST_XRAYS)])
    chests, others = films[FEWEST_XRAYS:], films[:FEWEST_XRAYS]
    reference = learn_reference(chests, [str(place) for place in range(len(chests))], others)
    assert reference is not None
    noise = rng.integers(0, 2, (1, 48, 48), dtype=np.uint8) * 255

    (score,) = model_of(BrightnessClassifier(), reference).score(noise)

    assert score.outcome is Outcome.REFER
    assert score.refer_reason
    assert score.distance is not None
    assert score.distance > 1
