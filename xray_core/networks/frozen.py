"""A last layer upon a frozen base, fitted at once: for tens of films, in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from xray_core.imaging.network_input import scale_pixels
from xray_core.imaging.records import Preprocessing
from xray_core.models.recalibration import Recalibration, choose_recalibration
from xray_core.models.records import OutputMeaning
from xray_core.networks.architectures import build_network
from xray_core.networks.fitting import Trained, Unseen, weigh_classes
from xray_core.networks.keras_classifier import KerasClassifier
from xray_core.networks.last_layer import fold_recalibration
from xray_core.networks.options import TrainingOptions
from xray_core.networks.quiet_keras import keras
from xray_core.processes.resources import one_thread

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

_FOLDS: Final = 5
# Inverse strengths of the ridge penalty on standardised features, from hardly any weight on the picture to much.
_STRENGTHS: Final = tuple(10.0**power for power in range(-5, 1))
_BATCH: Final = 32

_Numbers = NDArray[np.float64]
_Truth = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Films:
    """Features (n, k) of films, their class (n,), and whose they are (n,) as numbers."""

    features: _Numbers
    is_covid: _Truth
    patient_of: NDArray[np.intp]

    def take(self, chosen: _Truth) -> _Films:
        return _Films(self.features[chosen], self.is_covid[chosen], self.patient_of[chosen])


def train_last_layer(
    images: NDArray[np.uint8],
    is_covid: _Truth,
    patients: list[str],
    *,
    preprocessing: Preprocessing,
    options: TrainingOptions,
) -> Trained:
    """Fit the last layer to fitted grey levels (n, height, width) uint8; the base stays as it is.

    A ridge logistic regression of the base's pooled features, standardised, both classes weighing the same. Its
    penalty is chosen by log-loss in patient-wise cross-validation. What it is worth is told by the same done anew
    without each fifth of the patients (nested cross-validation: Varma & Simon, BMC Bioinformatics 2006;7:91): those are
    the scores that recalibration and thresholds are chosen on, for of what it was fitted to it is too sure.
    At least FEWEST_PATIENTS patients of each class are needed. Raises InvalidDataset without both classes.
    """
    weights = weigh_classes(is_covid, balance=options.balance_classes)
    model = _build(options, preprocessing)
    features = _read_features(model, images, preprocessing)
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread == 0] = 1
    # Turned into as many directions as there are films: the penalised answer is the same, and found faster.
    left, lengths, directions = np.linalg.svd((features - mean) / spread, full_matrices=False)
    films = _Films(left * lengths, is_covid, np.unique(patients, return_inverse=True)[1].astype(np.intp))
    with one_thread():
        unseen = _judge_unseen(films, options)
        layer = _fit(films, _choose_strength(films, options), options)
    kernel = directions.T @ layer.coef_[0] / spread
    model.get_layer("logit").set_weights([kernel[:, np.newaxis], layer.intercept_ - mean @ kernel])
    classifier = KerasClassifier(model, preprocessing, OutputMeaning.SIGMOID_COVID)
    recalibration = _choose_line(unseen.log_odds, films)
    fold_recalibration(classifier, recalibration)
    return Trained(classifier, history=(), class_weights=weights, recalibration=recalibration, unseen=unseen)


def deal_folds(
    is_covid: _Truth, patient_of: NDArray[np.intp], most: int, random: np.random.Generator
) -> NDArray[np.intp]:
    """The fold (n,) that each film is judged in: of a patient all in one, and of each class as many as can be.

    As many folds as `most`, or as there are patients of the rarer class.
    """
    has_covid = np.bincount(patient_of, weights=is_covid) > 0
    has_normal = np.bincount(patient_of, weights=~is_covid) > 0
    count = min(most, int(has_covid.sum()), int(has_normal.sum()))
    fold_of = np.zeros(len(has_covid), dtype=np.intp)
    dealt = 0
    for among in (has_covid, ~has_covid):
        patients = random.permutation(np.flatnonzero(among))
        fold_of[patients] = (dealt + np.arange(len(patients))) % count
        dealt += len(patients)
    return fold_of[patient_of]


def cross_validate(
    images: NDArray[np.uint8],
    is_covid: _Truth,
    patients: list[str],
    *,
    preprocessing: Preprocessing,
    options: TrainingOptions,
) -> Unseen:
    """What last layers say of films (n, height, width) uint8, each fitted without the film's patient; none is kept.

    At least FEWEST_PATIENTS patients of each class are needed.
    """
    features = _read_features(_build(options, preprocessing), images, preprocessing)
    spread = features.std(axis=0)
    left, lengths, _ = np.linalg.svd(
        (features - features.mean(axis=0)) / np.where(spread == 0, 1, spread), full_matrices=False
    )
    patient_of = np.unique(patients, return_inverse=True)[1].astype(np.intp)
    with one_thread():
        return _judge_unseen(_Films(left * lengths, is_covid, patient_of), options)


def _build(options: TrainingOptions, preprocessing: Preprocessing) -> keras.Model:
    size = (preprocessing.height, preprocessing.width)
    return build_network(options.architecture, weights=options.weights, input_size=size, seed=options.seed)


def _judge_unseen(films: _Films, options: TrainingOptions) -> Unseen:
    folds = deal_folds(films.is_covid, films.patient_of, _FOLDS, np.random.default_rng(options.seed))
    return _recalibrate_crosswise(_score_unseen(films, folds, options), films, folds)


def _read_features(model: keras.Model, images: NDArray[np.uint8], preprocessing: Preprocessing) -> _Numbers:
    """What the base says of each film, pooled: (n, k)."""
    base = keras.Model(model.inputs[0], model.get_layer("pool").output)
    parts = [
        np.asarray(base(scale_pixels(images[start : start + _BATCH], preprocessing), training=False))
        for start in range(0, len(images), _BATCH)
    ]
    return np.concatenate(parts).astype(np.float64)


def _score_unseen(films: _Films, folds: NDArray[np.intp], options: TrainingOptions) -> _Numbers:
    """Log-odds (n,) of each film by a layer, and a penalty, that nothing of its patient had a say in."""
    log_odds = np.zeros(len(folds))
    for fold in np.unique(folds):
        learned = films.take(folds != fold)
        layer = _fit(learned, _choose_strength(learned, options), options)
        log_odds[folds == fold] = layer.decision_function(films.features[folds == fold])
    return log_odds


def _choose_strength(films: _Films, options: TrainingOptions) -> float:
    """The penalty with the least log-loss, each class weighing half, on films of patients that were left out."""
    patient_of = np.unique(films.patient_of, return_inverse=True)[1].astype(np.intp)
    folds = deal_folds(films.is_covid, patient_of, _FOLDS, np.random.default_rng(options.seed))
    losses = []
    for strength in _STRENGTHS:
        log_odds = np.zeros(len(folds))
        for fold in np.unique(folds):
            layer = _fit(films.take(folds != fold), strength, options)
            log_odds[folds == fold] = layer.decision_function(films.features[folds == fold])
        loss = np.logaddexp(0, np.where(films.is_covid, -log_odds, log_odds))
        losses.append(loss[films.is_covid].mean() + loss[~films.is_covid].mean())
    return _STRENGTHS[int(np.argmin(losses))]


def _fit(films: _Films, strength: float, options: TrainingOptions) -> LogisticRegression:
    from sklearn.linear_model import LogisticRegression

    weight = "balanced" if options.balance_classes else None
    # Newton's steps: a handful, where there are no more directions than films.
    layer = LogisticRegression(C=strength, class_weight=weight, solver="newton-cholesky", max_iter=1000)
    return layer.fit(films.features, films.is_covid)


def _recalibrate_crosswise(log_odds: _Numbers, films: _Films, folds: NDArray[np.intp]) -> Unseen:
    """P(covid) of each film, recalibrated by the line that the films of the other folds give, if any helps there."""
    probabilities = np.zeros(len(folds))
    for fold in np.unique(folds):
        line = _choose_line(log_odds[folds != fold], films.take(folds != fold))
        probabilities[folds == fold] = line.apply(log_odds[folds == fold])
    return Unseen(log_odds, probabilities)


def _choose_line(log_odds: _Numbers, films: _Films) -> Recalibration:
    """The recalibration, where patient-wise cross-validation says that it helps; else the scores stay as they are."""
    return choose_recalibration(log_odds, films.is_covid, [str(patient) for patient in films.patient_of])
