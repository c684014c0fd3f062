"""The last layer of a Keras classifier: its log-odds before they become a probability, and a line folded into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xray_core.models.recalibration import Recalibration
from xray_core.models.records import OutputMeaning
from xray_core.networks.keras_classifier import KerasClassifier, find_last_dense

# How each output of the last layer counts in logit P(covid).
_TOWARDS_COVID: Final = {
    OutputMeaning.SIGMOID_COVID: (1.0,),
    OutputMeaning.SIGMOID_NORMAL: (-1.0,),
    OutputMeaning.SOFTMAX_COVID_FIRST: (1.0, -1.0),
    OutputMeaning.SOFTMAX_NORMAL_FIRST: (-1.0, 1.0),
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a classifier says of X-rays: P(covid) (n,), and its log-odds (n,) from before the sigmoid or softmax."""

    probabilities: NDArray[np.float32]
    log_odds: NDArray[np.float64]


def predict_both(classifier: KerasClassifier, greys: NDArray[np.uint8]) -> Said:
    """P(covid) and logit P(covid) of fitted grey levels (n, height, width) uint8, of one look at each.

    The log-odds are in float64 from the last layer's input on: as a float32 probability everything beyond 17 is the
    same 1. Raises IncompatibleModel where the network does not end in a Dense layer with a sigmoid or a softmax.
    """
    dense = find_last_dense(classifier.model, classifier.output)
    if not len(greys):
        return Said(np.empty(0, dtype=np.float32), np.empty(0))
    probabilities, given = classifier.predict_deeply(greys)
    kernel, bias = (weights.astype(np.float64) for weights in dense.get_weights())
    outputs = given.astype(np.float64) @ kernel + bias
    return Said(probabilities, outputs @ np.array(_TOWARDS_COVID[classifier.output]))


def predict_log_odds(classifier: KerasClassifier, greys: NDArray[np.uint8]) -> NDArray[np.float64]:
    """logit P(covid) (n,) alone; see `predict_both`."""
    return predict_both(classifier, greys).log_odds


def fold_recalibration(classifier: KerasClassifier, recalibration: Recalibration) -> None:
    """Change the last layer so that the network itself says recalibrated P(covid): nothing else has to know.

    Kernel and bias times the slope, and the intercept added to what speaks for covid. Raises IncompatibleModel where
    the network does not end in a Dense layer with a sigmoid or a softmax.
    """
    dense = find_last_dense(classifier.model, classifier.output)
    kernel, bias = (weights.astype(np.float64) for weights in dense.get_weights())
    towards = np.array(_TOWARDS_COVID[classifier.output])
    shift = recalibration.intercept * towards / (towards @ towards)
    folded = (kernel * recalibration.slope, bias * recalibration.slope + shift)
    dense.set_weights([weights.astype(np.float32) for weights in folded])
