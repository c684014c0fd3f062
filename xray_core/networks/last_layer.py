"""The last layer of a Keras classifier: its log-odds before they become a probability, and a line folded into it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xray_core.errors import IncompatibleModel
from xray_core.imaging.network_input import scale_pixels
from xray_core.models.recalibration import Recalibration
from xray_core.models.records import OutputMeaning
from xray_core.networks.keras_classifier import KerasClassifier
from xray_core.networks.quiet_keras import keras

# How each output of the last layer counts in logit P(covid).
_TOWARDS_COVID: Final = {
    OutputMeaning.SIGMOID_COVID: (1.0,),
    OutputMeaning.SIGMOID_NORMAL: (-1.0,),
    OutputMeaning.SOFTMAX_COVID_FIRST: (1.0, -1.0),
    OutputMeaning.SOFTMAX_NORMAL_FIRST: (-1.0, 1.0),
}
_BATCH = 32


def predict_log_odds(classifier: KerasClassifier, greys: NDArray[np.uint8]) -> NDArray[np.float64]:
    """logit P(covid) (n,) of fitted grey levels (n, height, width) uint8, from before the sigmoid or softmax.

    In float64 from the last layer's input on: as a float32 probability everything beyond 17 is the same 1. Raises
    IncompatibleModel where the network does not end in a Dense layer with a sigmoid or a softmax.
    """
    dense = _find_last_dense(classifier)
    features = keras.Model(classifier.model.inputs[0], dense.input)
    kernel, bias = (weights.astype(np.float64) for weights in dense.get_weights())
    parts = [
        np.asarray(features(scale_pixels(greys[start : start + _BATCH], classifier.preprocessing), training=False))
        for start in range(0, len(greys), _BATCH)
    ]
    outputs = np.concatenate(parts).astype(np.float64) @ kernel + bias
    log_odds: NDArray[np.float64] = outputs @ np.array(_TOWARDS_COVID[classifier.output])
    return log_odds


def fold_recalibration(classifier: KerasClassifier, recalibration: Recalibration) -> None:
    """Change the last layer so that the network itself says recalibrated P(covid): nothing else has to know.

    Kernel and bias times the slope, and the intercept added to what speaks for covid. Raises IncompatibleModel where
    the network does not end in a Dense layer with a sigmoid or a softmax.
    """
    dense = _find_last_dense(classifier)
    kernel, bias = (weights.astype(np.float64) for weights in dense.get_weights())
    towards = np.array(_TOWARDS_COVID[classifier.output])
    shift = recalibration.intercept * towards / (towards @ towards)
    folded = (kernel * recalibration.slope, bias * recalibration.slope + shift)
    dense.set_weights([weights.astype(np.float32) for weights in folded])


def _find_last_dense(classifier: KerasClassifier) -> Any:
    """The Dense layer with a bias that makes the output, its sigmoid or softmax in it or in a layer behind it."""
    *others, last = classifier.model.layers
    expected = "sigmoid" if len(_TOWARDS_COVID[classifier.output]) == 1 else "softmax"
    if isinstance(last, keras.layers.Activation | keras.layers.Softmax) and others:
        activation = "softmax" if isinstance(last, keras.layers.Softmax) else last.activation.__name__
        last = others[-1]
        is_plain = getattr(getattr(last, "activation", None), "__name__", "") == "linear"
    else:
        activation = getattr(getattr(last, "activation", None), "__name__", "")
        is_plain = True
    if not (isinstance(last, keras.layers.Dense) and last.use_bias and is_plain and activation == expected):
        raise IncompatibleModel(
            f"{classifier.model.name}: it ends in {type(last).__name__} and {activation or 'nothing'}; expected a "
            f"Dense layer with a bias and a {expected}"
        )
    return last
