"""What a Keras model from elsewhere takes and says, read from the model itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from xray_core.errors import IncompatibleModel
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.models.records import OutputMeaning
from xray_core.networks.foreign.output import (
    OutputRequest,
    apply_plan,
    choose_head,
    count_units,
    plan_output,
    read_activation,
)
from xray_core.networks.input_range import choose_scaling, read_input_line
from xray_core.networks.quiet_keras import keras

# The numbers that a network is given, in words.
SCALING_WORDS: Final = {
    Scaling.NONE: "grey levels 0..255",
    Scaling.UNIT: "0..1",
    Scaling.MINUS_ONE_TO_ONE: "-1..1",
    Scaling.CAFFE: "pixels minus the ImageNet means",
}


@dataclass(frozen=True, slots=True)
class Inspection:
    """How a network scores: `network` gives (n, 1) or (n, 2) as `output` says. `notes` are sentences for its team."""

    network: keras.Model
    preprocessing: Preprocessing
    output: OutputMeaning
    notes: tuple[str, ...]


def inspect_model(
    model: keras.Model,
    request: OutputRequest,
    *,
    scaling: Scaling | None = None,
    input_size: tuple[int, int] | None = None,
) -> Inspection:
    """Read what a model takes and what its output says.

    `scaling` and `input_size` (height, width) say what the model does not. Raises IncompatibleModel, with the option
    that helps, where its numbers do not tell how it wants its input scaled.
    """
    height, width, channels = _read_input(model, input_size)
    head = choose_head(model, request)
    scaling, notes = _read_scaling(head, (height, width, channels), scaling)
    if scaling is Scaling.CAFFE and channels != 3:
        raise IncompatibleModel(f"scaling {scaling.value} needs 3 channels; the model takes {channels}")
    units, was_chosen = count_units(tuple(head.outputs[0].shape)), len(model.outputs) > 1
    plan = plan_output(units, read_activation(head), request, was_chosen_by_name=was_chosen)
    preprocessing = Preprocessing(height=height, width=width, channels=channels, scaling=scaling)
    return Inspection(apply_plan(head, plan), preprocessing, plan.meaning, notes)


def _read_scaling(
    model: keras.Model, size: tuple[int, int, int], given: Scaling | None
) -> tuple[Scaling, tuple[str, ...]]:
    line = read_input_line(model, size)
    read = choose_scaling(line)
    if given is not None:
        if read is None or read is given:
            return given, ()
        note = f"its first steps are those of a network for {SCALING_WORDS[read]}; --scaling {given.value} was kept"
        return given, (note,)
    if read is None:
        ways = "; ".join(f"--scaling {scaling.value} for {words}" for scaling, words in SCALING_WORDS.items())
        reason = (
            "it takes numbers as they come and does not say which ones it was trained on"
            if line is not None and line.is_identity
            else "what it does with its input before its first weights does not tell which numbers it was trained on"
        )
        raise IncompatibleModel(f"{reason}; say it: {ways}")
    assert line is not None
    lowest, highest = line.ends(read)
    return read, (f"it takes {SCALING_WORDS[read]}: its own first steps make {lowest:.3g}..{highest:.3g} of them",)


def _read_input(model: keras.Model, input_size: tuple[int, int] | None) -> tuple[int, int, int]:
    shapes = [tuple(each.shape) for each in getattr(model, "inputs", None) or ()]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] not in (1, 3):
        raise IncompatibleModel(f"its input is {shapes or 'unknown'}; expected one of (n, height, width, 1 or 3)")
    _, height, width, channels = shapes[0]
    for name, own, given in zip(("height", "width"), (height, width), input_size or (None, None), strict=True):
        if own is None and given is None:
            raise IncompatibleModel(
                f"it takes any {name}; give the input size that it was trained with: --input-size PIXELS"
            )
        if own is not None and given is not None and own != given:
            raise IncompatibleModel(f"its input {name} is {own}; received {given}")
    if input_size is not None:
        height, width = input_size
    return int(height), int(width), int(channels)
