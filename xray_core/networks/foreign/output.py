"""What the output of a network from elsewhere says, and the part of it that is P(covid) or P(normal)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from xray_core.errors import IncompatibleModel
from xray_core.models.records import OutputMeaning
from xray_core.networks.quiet_keras import keras
from xray_core.records import Label

_PASS_ON: Final = frozenset({"Reshape", "Flatten", "Identity", "Cast", "Squeeze", "ExpandDims", "GetItem", "Dropout"})
_CLASSES: Final = {label.value: label for label in (Label.COVID, Label.NORMAL)}


@dataclass(frozen=True, slots=True)
class OutputRequest:
    """What a team says of its network's output.

    `positive_output` is covid or normal, or the name of the output that is P(covid). `names` are the outputs in their
    order where there are more than two. `are_logits` says that a sigmoid (or a softmax) is still to come.
    """

    positive_output: str
    names: tuple[str, ...] = ()
    are_logits: bool = False


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """What is done to a network's output: `column` is taken alone, after `activation`; then it means `meaning`."""

    meaning: OutputMeaning
    activation: str | None = None
    column: int | None = None


def plan_output(
    units: int, activation: str | None, request: OutputRequest, *, was_chosen_by_name: bool = False
) -> OutputPlan:
    """Decide what `units` outputs after `activation` say. Pure. Raises IncompatibleModel with the way out.

    An output that was chosen by its name among several is P(covid) by that.
    """
    if was_chosen_by_name:
        request = OutputRequest(Label.COVID.value, are_logits=request.are_logits)
    if request.are_logits:
        if activation in ("sigmoid", "softmax"):
            raise IncompatibleModel(f"its output is no logit, for it comes after a {activation}; leave out --logits")
        needed = "sigmoid" if units == 1 else "softmax"
        return _choose_columns(units, needed, request, added=needed)
    if units == 1 and activation == "softmax":
        raise IncompatibleModel(
            "its output is a softmax of one unit, which is always 1; expected one sigmoid output (n, 1) or two softmax "
            "outputs (n, 2): train it again with Dense(1, activation='sigmoid')"
        )
    if activation not in ("sigmoid", "softmax"):
        raise IncompatibleModel(
            f"its output of {units} is after {activation or 'an unknown layer'}; expected one sigmoid output (n, 1) or "
            "two softmax outputs (n, 2); if these are logits, say --logits"
        )
    return _choose_columns(units, activation, request, added=None)


def read_activation(model: keras.Model) -> str | None:
    """The name of the function that makes the output, past layers that only reshape it or are models themselves."""
    tensor = model.outputs[0]
    while True:
        operation = tensor._keras_history.operation
        if isinstance(operation, keras.Model):
            return read_activation(operation)
        name = type(operation).__name__
        if isinstance(operation, keras.layers.Softmax) or name in ("Softmax", "Sigmoid"):
            return name.lower()
        activation = getattr(operation, "activation", None)
        passes_on = name in _PASS_ON or (name == "Activation" and getattr(activation, "__name__", "") == "linear")
        inputs = operation._inbound_nodes[0].input_tensors
        if not passes_on or len(inputs) != 1:
            return None if activation is None else str(activation.__name__)
        tensor = inputs[0]


def apply_plan(model: keras.Model, plan: OutputPlan) -> keras.Model:
    """A model whose output is (n, 1) or (n, 2) as `plan.meaning` says; the given one where nothing is to be done."""
    output = model.outputs[0]
    if plan.activation is None and plan.column is None and len(output.shape) == 2:
        return model
    if len(output.shape) != 2:
        output = keras.layers.Flatten()(output)
    if plan.activation is not None:
        output = keras.layers.Activation(plan.activation)(output)
    if plan.column is not None:
        output = output[:, plan.column : plan.column + 1]
    return keras.Model(model.inputs[0], output)


def choose_head(model: keras.Model, request: OutputRequest) -> keras.Model:
    """The one output of a model, or the one that `positive_output` names. Raises IncompatibleModel."""
    if len(model.outputs) == 1:
        return model
    names = [str(name) for name in model.output_names]
    if request.positive_output not in names:
        raise IncompatibleModel(
            f"it has {len(names)} outputs ({', '.join(names)}); say which is P(covid): --positive-output {names[0]}"
        )
    return keras.Model(model.inputs[0], model.outputs[names.index(request.positive_output)])


def count_units(shape: tuple[Any, ...]) -> int:
    """How many numbers an output of this shape (n, ...) has for each X-ray. Raises IncompatibleModel for a picture."""
    units = 1
    for side in shape[1:]:
        if side is None or len([each for each in shape[1:] if each != 1]) > 1:
            raise IncompatibleModel(f"its output is {shape}; expected one sigmoid output (n, 1) or two softmax outputs")
        units *= int(side)
    return units


def _choose_columns(units: int, activation: str, request: OutputRequest, *, added: str | None) -> OutputPlan:
    known = _CLASSES.get(request.positive_output)
    if units == 1:
        if known is None:
            raise IncompatibleModel(
                f"it has one output; received --positive-output {request.positive_output!r}; expected covid or normal, "
                "of whichever it is the probability"
            )
        is_covid = known is Label.COVID
        return OutputPlan(OutputMeaning.SIGMOID_COVID if is_covid else OutputMeaning.SIGMOID_NORMAL, added)
    if units == 2 and activation == "softmax" and not request.names and known is not None:
        first = OutputMeaning.SOFTMAX_NORMAL_FIRST if known is Label.COVID else OutputMeaning.SOFTMAX_COVID_FIRST
        return OutputPlan(first, added)
    column = _find_column(units, activation, request)
    return OutputPlan(OutputMeaning.SIGMOID_COVID, added, column)


def _find_column(units: int, activation: str, request: OutputRequest) -> int:
    if len(request.names) != units:
        example = ",".join(["covid", "normal", *(f"class{number}" for number in range(3, units + 1))])
        raise IncompatibleModel(
            f"its output is {units} after {activation}; expected one sigmoid output (n, 1) or two softmax outputs "
            f"(n, 2), or {units} names in the order of its outputs, as --output-names {example}; received "
            f"{len(request.names)} names"
        )
    if request.names.count(request.positive_output) != 1:
        raise IncompatibleModel(
            f"--positive-output {request.positive_output!r} is not one of its outputs: {', '.join(request.names)}"
        )
    if request.positive_output == Label.NORMAL.value:
        raise IncompatibleModel(
            f"of {units} outputs the one that is P(covid) is needed; received --positive-output normal, "
            "and what is not normal need not be covid"
        )
    return request.names.index(request.positive_output)
