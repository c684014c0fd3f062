"""Which numbers a network from elsewhere wants: read from what it does with its input before its first weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xray_core.imaging.records import Scaling
from xray_core.networks.quiet_keras import keras, tf

_Numbers = NDArray[np.float64]

# What a constant picture is made of to read a line: any three different numbers tell whether it is one.
_ASKED: Final = (0.0, 1.0, 255.0)
# The lowest and the highest number that each way of scaling gives a network.
_ENDS: Final = {Scaling.NONE: (0.0, 255.0), Scaling.UNIT: (0.0, 1.0), Scaling.MINUS_ONE_TO_ONE: (-1.0, 1.0)}
_IDEAL: Final = ((0.0, 1.0), (-1.0, 1.0))
_CLOSE: Final = 0.06
# Pixels minus the ImageNet channel means (keras.applications.imagenet_utils, mode "caffe").
_CAFFE_LOWEST: Final = (-135.0, -95.0)


@dataclass(frozen=True, slots=True)
class InputLine:
    """What a network does to a number before its first weights, per channel (channels,): offset + slope x number."""

    offset: _Numbers
    slope: _Numbers

    @property
    def is_identity(self) -> bool:
        """Whether the network takes its numbers as they are: then the file does not say which ones."""
        return bool(np.allclose(self.slope, 1, atol=5e-3) and np.allclose(self.offset, 0, atol=5e-3))

    def ends(self, scaling: Scaling) -> tuple[float, float]:
        """The lowest and highest number that reaches the weights when grey levels 0..255 are scaled so."""
        lowest, highest = _ENDS[scaling]
        reached = np.concatenate([self.offset + self.slope * lowest, self.offset + self.slope * highest])
        return float(reached.min()), float(reached.max())


def choose_scaling(line: InputLine | None) -> Scaling | None:
    """Which scaling brings about 0..1, -1..1, or numbers around 0 to the first weights; None where no single one does.

    Pure. 0..1 and -1..1 come first, for they are exact. Then numbers around 0: standardised ones (a width of 1 to 7,
    none beyond 5: mean 0 and standard deviation 1 of pictures), or pixels minus the ImageNet means.
    """
    if line is None or line.is_identity:
        return None
    exact = [scaling for scaling in _ENDS if any(_is_close(line.ends(scaling), ideal) for ideal in _IDEAL)]
    if exact:
        return exact[0] if len(exact) == 1 else None
    around_zero = [scaling for scaling in _ENDS if _is_around_zero(*line.ends(scaling))]
    if not around_zero and _is_caffe(*line.ends(Scaling.NONE)):
        return Scaling.NONE
    return around_zero[0] if len(around_zero) == 1 else None


def read_input_line(model: keras.Model, size: tuple[int, int, int]) -> InputLine | None:
    """Follow constant pictures (height, width, channels) through a model to its first layer with weights.

    None where what reaches it is no straight line of the number given: nothing can be concluded then.
    """
    reached = [_reach_weights(model, np.full((1, *size), number, dtype=np.float32)) for number in _ASKED]
    if any(numbers is None for numbers in reached):
        return None
    at_0, at_1, at_255 = (np.asarray(numbers, dtype=np.float64) for numbers in reached)
    slope = (at_255 - at_0) / _ASKED[2]
    tolerance = 1e-3 * np.abs(at_255 - at_0) + 1e-6
    is_line = np.isfinite(at_255).all() and slope.all() and (np.abs(at_0 + slope - at_1) <= tolerance).all()
    return InputLine(at_0, slope) if is_line else None


def _is_close(ends: tuple[float, float], ideal: tuple[float, float]) -> bool:
    width = ideal[1] - ideal[0]
    return all(abs(end - want) <= _CLOSE * width for end, want in zip(ends, ideal, strict=True))


def _is_around_zero(lowest: float, highest: float) -> bool:
    return -5 <= lowest <= -0.2 and 0.2 <= highest <= 5 and 1 <= highest - lowest <= 7


def _is_caffe(lowest: float, highest: float) -> bool:
    return _CAFFE_LOWEST[0] <= lowest <= _CAFFE_LOWEST[1] and 240 <= highest - lowest <= 300


def _reach_weights(model: keras.Model, picture: NDArray[np.float32]) -> _Numbers | None:
    """What arrives, per channel at the centre, at the first layer that has weights."""
    for arrived in _arrivals(model, tf.constant(picture)):
        numbers = np.asarray(arrived, dtype=np.float64)
        if numbers.ndim == 4:
            return np.asarray(numbers[0, numbers.shape[1] // 2, numbers.shape[2] // 2])
        return np.unique(numbers.reshape(-1))[:1]
    return None


def _arrivals(model: keras.Model, given: Any) -> Iterator[Any]:
    """Every value that reaches a layer with weights, in the order of the graph; nested models are entered."""
    known: dict[int, Any] = {}
    graph = getattr(model, "_functional", None) or model
    known[id(graph.inputs[0])] = given
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if not node.is_input and all(id(tensor) in known for tensor in node.input_tensors):
                operation = node.operation
                if isinstance(operation, keras.Model) and _has_learned_weights(operation):
                    yield from _arrivals(operation, known[id(node.input_tensors[0])])
                elif _has_learned_weights(operation):
                    yield known[id(node.input_tensors[0])]
                else:
                    args, kwargs = node.arguments.fill_in(known)
                    outputs = keras.tree.flatten(operation(*args, **kwargs))
                    known.update(zip(map(id, node.outputs), outputs, strict=False))


def _has_learned_weights(operation: Any) -> bool:
    """A layer whose weights were learned from labels; the means and variances of a normalization were not."""
    if isinstance(operation, keras.Model):
        return any(_has_learned_weights(layer) for layer in operation.layers)
    scales = (keras.layers.Normalization, keras.layers.BatchNormalization, keras.layers.Rescaling)
    return not isinstance(operation, scales) and bool(getattr(operation, "weights", ()))
