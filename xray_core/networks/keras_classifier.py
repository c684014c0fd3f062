"""A Keras model as a classifier: load, save, predict, and export with a parity check."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import warnings
import zipfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xray_core.errors import IncompatibleModel
from xray_core.imaging.network_input import scale_pixels
from xray_core.imaging.records import Preprocessing
from xray_core.models.onnx_classifier import OnnxClassifier, check_parity, to_probability_covid
from xray_core.models.records import OutputMeaning
from xray_core.networks.grey_twin import let_take_grey
from xray_core.networks.quiet_keras import keras, tf

# Enough to fill two cores, small enough that a large network's activations fit into a small machine.
_BATCH = 32

_SOFTMAXES = (OutputMeaning.SOFTMAX_COVID_FIRST, OutputMeaning.SOFTMAX_NORMAL_FIRST)

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
        self._forward = self._compile(model)

    def predict(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Fitted grey levels (n, height, width) uint8 to P(covid) (n,) float32; NaN where the network says NaN."""
        parts = [self._say(self._forward(batch)) for batch in self._scale(grey)]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)

    def predict_deeply(self, grey: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """P(covid) (n,), and beside it what the last Dense layer was given (n, features), of one look at each of n > 0.

        Raises IncompatibleModel as `find_last_dense` does.
        """
        both = [self._forward_deeply(batch) for batch in self._scale(grey)]
        return np.concatenate([self._say(outputs) for outputs, _ in both]), np.concatenate([given for _, given in both])

    @cached_property
    def _forward_deeply(self) -> Any:
        given = find_last_dense(self.model, self.output).input
        return self._compile(keras.Model(self.model.inputs[0], [self.model.outputs[0], given]))

    def _compile(self, model: keras.Model) -> Any:
        """Not model.predict: that builds a data pipeline for every call. Traced once, for batches of any length."""
        shape = (None, self.preprocessing.height, self.preprocessing.width, self.preprocessing.channels)
        signature = [tf.TensorSpec(shape, tf.float32)]
        return tf.function(lambda inputs: model(inputs, training=False), input_signature=signature)

    def _scale(self, grey: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(grey), _BATCH):
            yield scale_pixels(grey[start : start + _BATCH], self.preprocessing)

    def _say(self, outputs: Any) -> NDArray[np.float32]:
        return to_probability_covid(np.asarray(outputs, dtype=np.float32), self.output)


def find_last_dense(model: keras.Model, output: OutputMeaning) -> Any:
    """The Dense layer with a bias that makes the output, its sigmoid or softmax in it or in a layer behind it.

    Raises IncompatibleModel where the network does not end so.
    """
    *others, last = model.layers
    expected = "softmax" if output in _SOFTMAXES else "sigmoid"
    if isinstance(last, keras.layers.Activation | keras.layers.Softmax) and others:
        activation = "softmax" if isinstance(last, keras.layers.Softmax) else last.activation.__name__
        last = others[-1]
        is_plain = getattr(getattr(last, "activation", None), "__name__", "") == "linear"
    else:
        activation = getattr(getattr(last, "activation", None), "__name__", "")
        is_plain = True
    if not (isinstance(last, keras.layers.Dense) and last.use_bias and is_plain and activation == expected):
        raise IncompatibleModel(
            f"{model.name}: it ends in {type(last).__name__} and {activation or 'nothing'}; expected a "
            f"Dense layer with a bias and a {expected}"
        )
    return last


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
