"""The scoring twin of a Keras model: the same numbers from ONNX Runtime, and light to import."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xray_core.errors import IncompatibleModel
from xray_core.imaging.network_input import scale_pixels
from xray_core.imaging.records import Preprocessing
from xray_core.models.records import OutputMeaning

# The most that a twin may differ from its Keras model in P(covid).
PARITY_TOLERANCE = 1e-5

# Inferred together, so that memory stays small for large networks too: the first layer of seed_cnn alone makes
# 2.8 MB of numbers for each X-ray. Larger runs were no faster.
_XRAYS_PER_RUN = 8


class OnnxClassifier:
    """A loaded ONNX model that speaks P(covid)."""

    def __init__(
        self, model: Path | bytes, *, preprocessing: Preprocessing, output: OutputMeaning, threads: int = 1
    ) -> None:
        """Load `model`, a file or its bytes. Raises IncompatibleModel when it is no such model."""
        self.preprocessing = preprocessing
        self.output = output
        self._session = _open_session(model, threads)
        self._input, channels = _check_input(self._session, preprocessing)
        self._takes = replace(preprocessing, channels=channels)

    def predict(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Fitted grey levels (n, height, width) uint8 to P(covid) (n,) float32."""
        if not len(grey):
            return np.empty(0, dtype=np.float32)
        parts = [grey[start : start + _XRAYS_PER_RUN] for start in range(0, len(grey), _XRAYS_PER_RUN)]
        outputs = [self._session.run(None, {self._input: scale_pixels(part, self._takes)})[0] for part in parts]
        return to_probability_covid(np.concatenate(outputs), self.output)


def to_probability_covid(outputs: NDArray[np.float32], meaning: OutputMeaning) -> NDArray[np.float32]:
    """A network's outputs, (n, 1) sigmoid or (n, 2) softmax, to P(covid) (n,).

    Raises IncompatibleModel when the outputs have another shape than `meaning` says.
    """
    columns = 1 if meaning in (OutputMeaning.SIGMOID_COVID, OutputMeaning.SIGMOID_NORMAL) else 2
    if outputs.ndim != 2 or outputs.shape[1] != columns:
        raise IncompatibleModel(f"the model's output has shape {outputs.shape}; {meaning.value} needs (n, {columns})")
    match meaning:
        case OutputMeaning.SIGMOID_COVID | OutputMeaning.SOFTMAX_COVID_FIRST:
            return outputs[:, 0]
        case OutputMeaning.SIGMOID_NORMAL:
            return np.float32(1) - outputs[:, 0]
        case OutputMeaning.SOFTMAX_NORMAL_FIRST:
            return outputs[:, 1]


def check_parity(
    expected: NDArray[np.float32], received: NDArray[np.float32], *, tolerance: float = PARITY_TOLERANCE
) -> float:
    """Compare the Keras model's P(covid) with its twin's on the same X-rays, (n,) each; the largest difference.

    Raises IncompatibleModel when they differ by more than `tolerance`, or are not all numbers in 0..1.
    """
    for who, values in (("the Keras model", expected), ("its ONNX twin", received)):
        if not (np.isfinite(values).all() and (values >= 0).all() and (values <= 1).all()):
            raise IncompatibleModel(f"{who} gives scores that are no probabilities in 0..1")
    largest = float(np.abs(expected - received).max(initial=0.0))
    if largest > tolerance:
        raise IncompatibleModel(
            f"the ONNX twin differs from the Keras model by {largest:.2g} on {len(expected)} X-rays;"
            f" expected at most {tolerance:g}"
        )
    return largest


def _open_session(model: Path | bytes, threads: int) -> Any:
    # ONNX Runtime reports its use to its vendor unless it finds this before it is first imported.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as failures

    unloadable = (
        *(failures.Fail, failures.InvalidArgument, failures.InvalidGraph, failures.InvalidProtobuf),
        *(failures.NoModel, failures.NoSuchFile, failures.NotImplemented, failures.RuntimeException),
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Waiting threads sleep: decoder processes need the cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            str(model) if isinstance(model, Path) else model, options, providers=["CPUExecutionProvider"]
        )
    except unloadable as error:
        raise IncompatibleModel("ONNX Runtime cannot load the model: it is missing, damaged or no ONNX file") from error


def _check_input(session: Any, preprocessing: Preprocessing) -> tuple[str, int]:
    """The name and the channels of the model's one input, once its shape is the one that preprocessing makes.

    Where all channels are alike the twin may take one of them.
    """
    inputs = session.get_inputs()
    channels = preprocessing.channels
    if len(inputs) == 1 and inputs[0].shape[-1:] == [1] and preprocessing.has_equal_channels:
        channels = 1
    expected = [preprocessing.height, preprocessing.width, channels]
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or not _fits(inputs[0].shape[1:], expected):
        received = ", ".join(str(each.shape) for each in inputs)
        raise IncompatibleModel(f"the ONNX model's input is {received}; expected one of (n, {expected})")
    if inputs[0].type != "tensor(float)":
        raise IncompatibleModel(f"the ONNX model's input is of {inputs[0].type}; expected tensor(float)")
    return str(inputs[0].name), channels


def _fits(shape: list[int | str | None], expected: list[int]) -> bool:
    return all(not isinstance(side, int) or side == want for side, want in zip(shape, expected, strict=True))
