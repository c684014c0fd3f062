"""A model's twin in a process of its own: does it load there, and say again what it said here?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from xray_core.imaging.records import Preprocessing
from xray_core.models.onnx_classifier import OnnxClassifier
from xray_core.models.records import OutputMeaning

_TOLERANCE = 1e-5
_SECONDS = 120


def reproduces_in_fresh_process(
    twin: Path,
    preprocessing: Preprocessing,
    output: OutputMeaning,
    probe: NDArray[np.uint8],
    expected: NDArray[np.float32],
) -> bool:
    """Load `twin` (.onnx) in a new process and compare its P(covid) on `probe` (k, h, w) with `expected` (k,)."""
    with TemporaryDirectory(prefix="xray-probe-") as room:
        np.save(Path(room) / "probe.npy", probe)
        request = json.dumps(
            {
                "twin": str(twin),
                "probe": f"{room}/probe.npy",
                "output": output.value,
                "preprocessing": TypeAdapter(Preprocessing).dump_json(preprocessing).decode(),
            }
        )
        child = subprocess.run(
            [sys.executable, "-m", "xray_core.models.fresh_load"],
            input=request,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    if child.returncode:
        return False
    received = np.array(json.loads(child.stdout), dtype=np.float32)
    return received.shape == expected.shape and bool((np.abs(received - expected) <= _TOLERANCE).all())


def _answer(request: dict[str, str]) -> list[float]:
    preprocessing = TypeAdapter(Preprocessing).validate_json(request["preprocessing"])
    output = OutputMeaning(request["output"])
    classifier = OnnxClassifier(Path(request["twin"]), preprocessing=preprocessing, output=output)
    return [float(score) for score in classifier.predict(np.load(request["probe"], allow_pickle=False))]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_answer(json.load(sys.stdin))))
