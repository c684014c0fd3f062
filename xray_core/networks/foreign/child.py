"""What runs in the limited child process that opens a foreign model file."""

from __future__ import annotations

import json
import math
import resource
import sys
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from xray_core.errors import IncompatibleModel
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.networks.foreign.config import MendedConfig, mend_config
from xray_core.networks.foreign.inspection import SCALING_WORDS
from xray_core.networks.foreign.output import OutputRequest
from xray_core.networks.records import InputRange

if TYPE_CHECKING:
    from xray_core.networks.keras_classifier import KerasClassifier

MAX_FILE_BYTES: Final = 2 * 2**30
REQUEST, PIXELS, ANSWER = "request.json", "pixels.npz", "answer.json"
TWIN, GREY, MENDED = "model.onnx", "grey.npy", "mended.keras"
# Scores of films as different as the probes that lie closer together than this tell nothing.
ALIKE: Final = 0.02
# The most that float32 may differ in P(covid) from float16, and from bfloat16, whose numbers have 10 and 7 bits.
HALF_TOLERANCES: Final = (5e-3, 3e-2)


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What the process that opens a foreign file may use before it is ended.

    Measured: importing and exporting takes 2.5 GiB of address space for seed_cnn and 8.2 GiB for ResNet50.
    """

    address_space_bytes: int = 12 * 2**30
    cpu_seconds: int = 300
    wall_seconds: float = 300


def main(room: Path) -> None:
    """The child: limit itself, then load, inspect, score and export; leave the answer in `room`."""
    request = json.loads((room / REQUEST).read_bytes())
    _limit_this_process(ChildLimits(**request["limits"]))
    try:
        answer = _open_onnx(room, request) if request["input_range"] else _open_keras(room, request)
    except IncompatibleModel as refusal:
        answer = {"refusal": str(refusal)}
    (room / ANSWER).write_text(json.dumps(answer), encoding="utf-8")


def _limit_this_process(limits: ChildLimits) -> None:
    for which, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, MAX_FILE_BYTES),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_AS, limits.address_space_bytes),
    ):
        hard = resource.getrlimit(which)[1]
        soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # A second later than the signal, the processor time limit kills for certain.
        resource.setrlimit(which, (soft, soft + 1 if which == resource.RLIMIT_CPU else soft))


def _open_keras(room: Path, request: dict[str, Any]) -> dict[str, Any]:
    from xray_core.networks.foreign.inspection import inspect_model
    from xray_core.networks.keras_classifier import (
        KerasClassifier,
        export_onnx,
        has_finite_weights,
        load_untrusted_keras,
    )

    mended = _mend_archive(Path(request["model"]), room / MENDED)
    model = load_untrusted_keras(room / MENDED)
    if not has_finite_weights(model):
        raise IncompatibleModel("its weights are not all numbers")
    inspection = inspect_model(
        model,
        _read_output_request(request),
        scaling=Scaling(request["scaling"]) if request["scaling"] else None,
        input_size=request["input_size"],
    )
    classifier = KerasClassifier(inspection.network, inspection.preprocessing, inspection.output)
    grey = _fit_probes(room, inspection.preprocessing)
    probabilities = classifier.predict(grey)
    scaling = inspection.preprocessing.scaling

    def predict_scaled(other: Scaling) -> NDArray[np.float32]:
        changed = replace(inspection.preprocessing, scaling=other)
        return KerasClassifier(inspection.network, changed, inspection.output).predict(grey)

    if mended.half_precision:
        _check_precision(room, request, mended.half_precision, classifier, grey)
    notes = (*mended.notes, *inspection.notes, *_compare_scalings(probabilities, scaling, predict_scaled))
    export_onnx(classifier, room / TWIN)
    np.save(room / GREY, grey)
    return {
        "preprocessing": asdict(inspection.preprocessing),
        "output": inspection.output.value,
        "probabilities": [float(each) for each in probabilities],
        "notes": notes,
    }


def _open_onnx(room: Path, request: dict[str, Any]) -> dict[str, Any]:
    import onnx

    from xray_core.models.onnx_classifier import OnnxClassifier
    from xray_core.networks.foreign.onnx_file import read_network, wrap_network

    size = request["input_size"]
    network = read_network(Path(request["model"]))
    given = InputRange(request["input_range"])
    wrapped = wrap_network(network, _read_output_request(request), given, tuple(size) if size else None)
    onnx.save(wrapped.model, room / TWIN)
    grey = _fit_probes(room, wrapped.preprocessing)
    np.save(room / GREY, grey)

    def predict_scaled(scaling: Scaling) -> NDArray[np.float32]:
        changed = replace(wrapped.preprocessing, scaling=scaling)
        return OnnxClassifier(room / TWIN, preprocessing=changed, output=wrapped.output).predict(grey)

    scores = predict_scaled(wrapped.preprocessing.scaling)
    return {
        "preprocessing": asdict(wrapped.preprocessing),
        "output": wrapped.output.value,
        "probabilities": [float(each) for each in scores],
        "notes": (*wrapped.notes, *_compare_scalings(scores, wrapped.preprocessing.scaling, predict_scaled)),
    }


def _read_output_request(request: dict[str, Any]) -> OutputRequest:
    given = request["output"]
    return OutputRequest(given["positive_output"], tuple(given["names"]), given["are_logits"])


def _mend_archive(given: Path, mended: Path, *, keep_precision: bool = False) -> MendedConfig:
    """Write a copy whose configuration holds what scores and nothing else; the weights stay as they are."""
    try:
        with zipfile.ZipFile(given) as source, zipfile.ZipFile(mended, "w") as copy:
            config = mend_config(json.loads(source.read("config.json")), keep_precision=keep_precision)
            for name in source.namelist():
                changed = json.dumps(config.config).encode() if name == "config.json" else source.read(name)
                copy.writestr(name, changed)
    except (ValueError, RecursionError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise IncompatibleModel(f"Keras cannot load it: {type(error).__name__}: {str(error)[:200]}") from error
    return config


def _check_precision(
    room: Path, request: dict[str, Any], precision: str, classifier: KerasClassifier, grey: NDArray[np.uint8]
) -> None:
    """Compare the scores in float32 with the model's own: two roundings of one network may differ by so much."""
    from xray_core.models.onnx_classifier import check_parity
    from xray_core.networks.foreign.inspection import inspect_model
    from xray_core.networks.keras_classifier import KerasClassifier, load_untrusted_keras

    original = room / f"half-{MENDED}"
    _mend_archive(Path(request["model"]), original, keep_precision=True)
    scaling, size = classifier.preprocessing.scaling, request["input_size"]
    own = inspect_model(load_untrusted_keras(original), _read_output_request(request), scaling=scaling, input_size=size)
    scores = KerasClassifier(own.network, own.preprocessing, own.output).predict(grey)
    check_parity(scores, classifier.predict(grey), tolerance=HALF_TOLERANCES["bfloat16" in precision])


def _fit_probes(room: Path, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    from xray_core.imaging.network_input import fit_pixels

    with np.load(room / PIXELS, allow_pickle=False) as pixels:
        return np.stack([fit_pixels(pixels[name], preprocessing) for name in pixels.files])


def _compare_scalings(
    scores: NDArray[np.float32], scaling: Scaling, predict_scaled: Callable[[Scaling], NDArray[np.float32]]
) -> tuple[str, ...]:
    """The scores of the probe films as they are scaled, and scaled the other way: who knows the model can tell."""
    if not all(math.isfinite(each) and 0 <= each <= 1 for each in scores):
        raise IncompatibleModel("its scores of the probe X-rays are no probabilities in 0..1; for logits say --logits")
    other = Scaling.UNIT if scaling is Scaling.NONE else Scaling.NONE
    note = (
        f"P(covid) of {len(scores)} synthetic probe films: {_describe_spread(scores)} when given "
        f"{SCALING_WORDS[scaling]}; {_describe_spread(predict_scaled(other))} when given {SCALING_WORDS[other]}"
    )
    if float(np.ptp(scores)) >= ALIKE:
        return (note,)
    alike = (
        f"all {len(scores)} probe films got nearly the same score: check the scaling and --positive-output before you "
        "believe it, with films whose answers you know"
    )
    return note, alike


def _describe_spread(scores: NDArray[np.float32]) -> str:
    return f"{float(scores.min()):.3f} to {float(scores.max()):.3f}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
