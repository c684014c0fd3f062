"""A last layer on a frozen base: fitted at once, judged by patient-wise cross-validation that nothing leaks into."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from xray_core.networks.fitting import Trained
from xray_core.networks.frozen import deal_folds, train_last_layer
from xray_core.networks.keras_classifier import export_checked
from xray_core.networks.last_layer import predict_log_odds
from xray_core.networks.options import TrainingOptions
from xray_core.networks.records import Architecture

pytestmark = pytest.mark.keras

OPTIONS = TrainingOptions(architecture=Architecture.EFFICIENTNET_LITE0, frozen=True, input_size=32)


def draw(count: int, *, seed: int = 0, strength: int = 120) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Noise; of every other film a corner is brighter."""
    images = np.random.default_rng(seed).integers(0, 120, (count, 32, 32), dtype=np.uint8)
    is_covid = np.arange(count) % 2 == 1
    images[is_covid, :16, :16] += np.uint8(strength)
    return images, is_covid


def fit(
    images: NDArray[np.uint8], is_covid: NDArray[np.bool_], patients: list[str] | None = None, *, seed: int = 0
) -> Trained:
    whose = [f"patient {place}" for place in range(len(images))] if patients is None else patients
    return train_last_layer(
        images, is_covid, whose, preprocessing=OPTIONS.preprocessing, options=replace(OPTIONS, seed=seed)
    )


def test_twenty_films_are_enough_to_learn_what_is_plain_to_see() -> None:
    trained = fit(*draw(20))

    others, truth = draw(20, seed=9)
    assert roc_auc_score(truth, trained.classifier.predict(others)) == 1
    assert trained.unseen is not None
    assert roc_auc_score(draw(20)[1], trained.unseen.probabilities) > 0.9
    assert trained.history == ()


def test_the_layer_that_was_found_in_few_directions_is_that_of_the_network_itself() -> None:
    images, is_covid = draw(24, strength=30)
    trained = fit(images, is_covid)

    log_odds = predict_log_odds(trained.classifier, images)

    line = trained.recalibration
    np.testing.assert_allclose(trained.classifier.predict(images), expit(log_odds), atol=1e-5)
    assert (line.xrays, line.slope > 0) == (24, True)


@pytest.mark.parametrize(("films", "strength"), [(24, 30), (20, 120)])
def test_a_recalibration_is_made_only_where_cross_validation_says_that_it_helps(films: int, strength: int) -> None:
    """Unclear films were scored about right; plain ones too shyly, which two numbers mend."""
    trained = fit(*draw(films, strength=strength))

    line = trained.recalibration
    assert line.gain is not None
    assert line.gain_error is not None
    assert line.is_unchanged == (line.gain <= line.gain_error / 2) == (strength == 30)
    if line.is_unchanged:
        assert trained.unseen is not None
        np.testing.assert_allclose(trained.unseen.probabilities, expit(trained.unseen.log_odds))


def test_the_twin_of_a_fitted_model_repeats_its_scores(tmp_path: Path) -> None:
    trained = fit(*draw(12))

    assert export_checked(trained.classifier, tmp_path / "model.onnx", draw(9, seed=3)[0]) <= 1e-5


def test_one_seed_gives_one_model() -> None:
    images, is_covid = draw(16, strength=30)

    scores = [fit(images, is_covid, seed=seed).classifier.predict(images) for seed in (3, 3)]

    np.testing.assert_array_equal(*scores)


def test_where_the_label_is_a_coin_no_cross_validated_score_knows_it() -> None:
    """Each patient has three equal films: only a leak between folds could tell the class of one from another's."""
    random = np.random.default_rng(0)
    patterns = random.integers(0, 2, (24, 4, 4), dtype=np.uint8) * np.uint8(200)
    films = np.repeat(patterns.repeat(8, axis=1).repeat(8, axis=2), 3, axis=0)
    is_covid = np.repeat(random.permutation(np.arange(24) % 2 == 1), 3)
    patients = [f"patient {place // 3}" for place in range(72)]

    honest, leaking = fit(films, is_covid, patients), fit(films, is_covid)

    assert honest.unseen is not None
    assert leaking.unseen is not None
    leak = roc_auc_score(is_covid, leaking.unseen.probabilities)
    assert leak - roc_auc_score(is_covid, honest.unseen.probabilities) > 0.15


@pytest.mark.parametrize(("covid", "normal", "expected"), [(4, 9, 4), (30, 30, 5), (7, 5, 5)])
def test_folds_keep_patients_together_and_both_classes_in_each(covid: int, normal: int, expected: int) -> None:
    patient_of = np.repeat(np.arange(covid + normal), 3)
    is_covid = patient_of < covid

    folds = deal_folds(is_covid, patient_of, 5, np.random.default_rng(1))

    assert sorted(set(folds.tolist())) == list(range(expected))
    for patient in range(covid + normal):
        assert len(set(folds[patient_of == patient].tolist())) == 1
    for fold in range(expected):
        assert {bool(truth) for truth in is_covid[folds == fold]} == {True, False}
