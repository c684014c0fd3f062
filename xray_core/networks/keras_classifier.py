"""A Keras model as a classifier: load, save, predict, and export with a parity check."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xray_core.errors import IncompatibleModel
from xray_core.imaging.network_input import scale_pixels
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.models.onnx_classifier import OnnxClassifier, check_parity, to_probability_covid
from xray_core.models.records import OutputMeaning
from xray_core.networks.grey_twin import let_take_grey
from xray_core.networks.quiet_keras import keras, tf
from xray_core.records import Label

# Enough to fill two cores, small enough that a large network's activations fit into a small machine.
_BATCH = 32

# What a damaged or hostile file was seen to make Keras raise.
_LOADING_FAILURES = (
    *(ValueError, TypeError, KeyError, IndexError, OSError, AttributeError, ImportError, RuntimeError, EOFError),
    *(UserWarning, zipfile.BadZipFile),
)


class KerasClassifier:
    """A trained Keras model that speaks P(covid)."""

    def __init__(self, model: keras.Model, preprocessing: Preprocessing, output: OutputMeaning) -> None:
        self.model = model
        self.preprocessing = preprocessing
        self.output = output
        # Not model.predict: that builds a data pipeline for every call.
        self._forward = tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)

    def predict(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Fitted grey levels (n, height, width) uint8 to P(covid) (n,) float32; NaN where the network says NaN."""
        parts = [self._predict_batch(grey[start : start + _BATCH]) for start in range(0, len(grey), _BATCH)]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)

    def _predict_batch(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        outputs = self._forward(scale_pixels(grey, self.preprocessing))
        return to_probability_covid(np.asarray(outputs, dtype=np.float32), self.output)


def save_keras(model: keras.Model, path: Path) -> None:
    """Write `path` (.keras), without the optimizer's state."""
    model.save(path, include_optimizer=False)


def load_untrusted_keras(path: Path) -> keras.Model:
    """Load a `.keras` file that nobody has vouched for: only for a process that may be lost."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            # Keras only warns when layers that it found no weights for keep their random ones.
            warnings.filterwarnings("error", "Skipping nested container|A total of", UserWarning)
            return keras.saving.load_model(path, safe_mode=True, compile=False)
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise IncompatibleModel("Keras cannot load it: it needs more memory than there is for it") from error
    except (*_LOADING_FAILURES, tf.errors.OpError) as error:
        reason = " ".join(str(error).split()).partition(". ")[0][:300]
        raise IncompatibleModel(f"Keras cannot load it: {type(error).__name__}: {reason}") from error


def has_finite_weights(model: keras.Model) -> bool:
    """True when every weight is a number. Scores alone do not tell: TensorFlow's ReLU turns NaN into 0."""
    return all(np.isfinite(weights).all() for weights in model.get_weights())


def export_onnx(classifier: KerasClassifier, path: Path) -> str:
    """Write the classifier's ONNX twin to `path` and return its SHA-256."""
    size = (1, classifier.preprocessing.height, classifier.preprocessing.width)
    classifier.model(scale_pixels(np.zeros(size, dtype=np.uint8), classifier.preprocessing))  # else: "never called"
    with _quiet_export():
        classifier.model.export(path, format="onnx", verbose=False)
    if classifier.preprocessing.has_equal_channels:
        let_take_grey(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def export_checked(classifier: KerasClassifier, path: Path, xrays: NDArray[np.uint8]) -> float:
    """Write the ONNX twin and refuse it when it differs on `xrays` (n, height, width); the largest difference.

    A refused twin is removed. Raises IncompatibleModel.
    """
    export_onnx(classifier, path)
    twin = OnnxClassifier(path, preprocessing=classifier.preprocessing, output=classifier.output)
    try:
        return check_parity(classifier.predict(xrays), twin.predict(xrays))
    except IncompatibleModel:
        path.unlink()
        raise


def inspect_model(
    model: keras.Model,
    *,
    positive_output: Label,
    scaling: Scaling | None = None,
    input_size: tuple[int, int] | None = None,
) -> tuple[Preprocessing, OutputMeaning, tuple[str, ...]]:
    """Read what a model takes and what its output says, with notes on what was assumed.

    `positive_output` is the class whose probability the one sigmoid output, or the second of two softmax outputs,
    is. `scaling` and `input_size` (height, width) say what the model does not. Raises IncompatibleModel.
    """
    height, width, channels = _read_input(model, input_size)
    notes: tuple[str, ...] = ()
    if scaling is None and _scales_by_itself(model):
        scaling = Scaling.NONE
        notes = ("it scales grey levels 0..255 by itself",)
    elif scaling is None:
        scaling = Scaling.UNIT
        notes = ("it does not say how it wants its input scaled; grey levels / 255 were assumed",)
    if scaling is Scaling.CAFFE and channels != 3:
        raise IncompatibleModel(f"scaling {scaling.value} needs 3 channels; the model takes {channels}")
    preprocessing = Preprocessing(height=height, width=width, channels=channels, scaling=scaling)
    return preprocessing, _read_output(model, positive_output), notes


def _read_input(model: keras.Model, input_size: tuple[int, int] | None) -> tuple[int, int, int]:
    shapes = [tuple(each.shape) for each in getattr(model, "inputs", None) or ()]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] not in (1, 3):
        raise IncompatibleModel(f"its input is {shapes or 'unknown'}; expected one of (n, height, width, 1 or 3)")
    _, height, width, channels = shapes[0]
    for name, own, given in zip(("height", "width"), (height, width), input_size or (None, None), strict=True):
        if own is None and given is None:
            raise IncompatibleModel(f"it takes any {name}; give the input size that it was trained with")
        if own is not None and given is not None and own != given:
            raise IncompatibleModel(f"its input {name} is {own}; received {given}")
    if input_size is not None:
        height, width = input_size
    return int(height), int(width), int(channels)


def _scales_by_itself(model: keras.Model) -> bool:
    kinds = (keras.layers.Rescaling, keras.layers.Normalization)
    return any(isinstance(layer, kinds) for layer in model._flatten_layers())


def _read_output(model: keras.Model, positive_output: Label) -> OutputMeaning:
    shapes = [tuple(each.shape) for each in model.outputs]
    activation = _last_activation(model)
    is_covid = positive_output is Label.COVID
    if shapes == [(None, 1)] and activation == "sigmoid":
        return OutputMeaning.SIGMOID_COVID if is_covid else OutputMeaning.SIGMOID_NORMAL
    if shapes == [(None, 2)] and activation == "softmax":
        return OutputMeaning.SOFTMAX_NORMAL_FIRST if is_covid else OutputMeaning.SOFTMAX_COVID_FIRST
    raise IncompatibleModel(
        f"its output is {shapes} after {activation or 'an unknown layer'};"
        " expected one sigmoid output (n, 1) or two softmax outputs (n, 2)"
    )


def _last_activation(model: keras.Model) -> str | None:
    """The name of the function that makes the output, also when the last layer is itself a model."""
    last = model.layers[-1]
    while isinstance(last, keras.Model):
        last = last.layers[-1]
    if isinstance(last, keras.layers.Softmax):
        return "softmax"
    activation = getattr(last, "activation", None)
    return None if activation is None else str(activation.__name__)


def layer_table(model: keras.Model) -> tuple[tuple[str, str, str, int], ...]:
    """Each layer's name, kind, output shape and number of parameters, in order; for the model card."""
    return tuple(
        (layer.name, type(layer).__name__, _shape_words(layer.output.shape), int(layer.count_params()))
        for layer in model.layers
    )


def _shape_words(shape: tuple[Any, ...]) -> str:
    return " × ".join(str(side) for side in shape[1:])


@contextlib.contextmanager
def _quiet_export() -> Iterator[None]:
    """Keep the converter's log lines and print-outs from the user; its errors still travel."""
    loggers = [logging.getLogger(name) for name in ("tf2onnx", "tensorflow", "absl")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tf2onnx and Keras deprecations that no caller can mend
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
