"""What runs in the limited child process that opens a foreign model file."""

from __future__ import annotations

import json
import math
import resource
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from xray_core.errors import IncompatibleModel
from xray_core.imaging.records import Scaling
from xray_core.records import Label

MAX_FILE_BYTES: Final = 2 * 2**30


REQUEST, PIXELS, ANSWER = "request.json", "pixels.npz", "answer.json"


TWIN, GREY = "model.onnx", "grey.npy"


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
        answer = _open_model(room, request)
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


def _open_model(room: Path, request: dict[str, Any]) -> dict[str, Any]:
    from xray_core.imaging.network_input import fit_pixels
    from xray_core.networks.keras_classifier import (
        KerasClassifier,
        export_onnx,
        has_finite_weights,
        inspect_model,
        load_untrusted_keras,
    )

    model = load_untrusted_keras(Path(request["model"]))
    if not has_finite_weights(model):
        raise IncompatibleModel("its weights are not all numbers")
    preprocessing, output, notes = inspect_model(
        model,
        positive_output=Label(request["positive_output"]),
        scaling=Scaling(request["scaling"]) if request["scaling"] else None,
        input_size=request["input_size"],
    )
    with np.load(room / PIXELS, allow_pickle=False) as pixels:
        grey = np.stack([fit_pixels(pixels[name], preprocessing) for name in pixels.files])
    classifier = KerasClassifier(model, preprocessing, output)
    probabilities = classifier.predict(grey)
    if not all(math.isfinite(each) and 0 <= each <= 1 for each in probabilities):
        raise IncompatibleModel("its scores of the probe X-rays are no probabilities in 0..1")
    export_onnx(classifier, room / TWIN)
    np.save(room / GREY, grey)
    return {
        "preprocessing": asdict(preprocessing),
        "output": output.value,
        "probabilities": [float(each) for each in probabilities],
        "notes": notes,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
