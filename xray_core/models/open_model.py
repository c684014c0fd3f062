"""A model folder opened for scoring, once its bytes and its probe scores hold."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xray_core.errors import IncompatibleModel, ModelAltered
from xray_core.imaging.content import hash_file
from xray_core.models.chest_reference import ChestReference, read_reference
from xray_core.models.folder import (
    MANIFEST_FILE,
    ONNX_FILE,
    PROBE_FILE,
    PROBE_TOLERANCE,
    check_sha256,
    files_below,
    hash_manifest,
    read,
    read_manifest,
)
from xray_core.models.onnx_classifier import OnnxClassifier
from xray_core.models.records import REFERENCE_FILE, ModelManifest, Oddity, Score
from xray_core.records import Outcome


class Classifier(Protocol):
    """A trained classifier, as scoring sees it."""

    def predict(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Fitted grey levels (n, height, width) uint8 to P(covid) (n,) float32."""


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A model that is ready to score; `reference` is None where nothing is known of its training X-rays."""

    manifest: ModelManifest
    classifier: Classifier
    reference: ChestReference | None

    def score(self, greys: NDArray[np.uint8]) -> list[Score]:
        """Fitted grey levels (n, height, width) uint8, n at least 1, to what the model says of each.

        An X-ray that is no chest film of the kind that the model was trained on is referred, whatever its score.
        """
        probabilities = self.classifier.predict(greys).tolist()
        if self.reference is None:
            return [self._say(probability, None) for probability in probabilities]
        return [self._say(*pair) for pair in zip(probabilities, self.reference.find_oddities(greys), strict=True)]

    def _say(self, probability: float, oddity: Oddity | None) -> Score:
        point, distance = self.manifest.operating_point, None if oddity is None else oddity.distance
        if oddity is not None and oddity.reason is not None:
            return Score(probability, Outcome.REFER, distance, oddity.reason)
        return Score(probability, point.outcome(probability), distance, point.refer_reason(probability))


def verify_model_folder(
    folder: Path,
    *,
    expected_onnx_sha256: str,
    expected_keras_sha256: str,
    expected_manifest_sha256: str | None = None,
) -> ModelManifest:
    """Check every byte of a model folder against its manifest, and models and manifest against what was registered.

    Raises ModelAltered when a file is missing, added or changed, IncompatibleModel when there is no manifest.
    """
    manifest = _read_registered_manifest(folder, expected_manifest_sha256)
    registered = {ONNX_FILE: expected_onnx_sha256, manifest.source_file: expected_keras_sha256}
    present = {path.relative_to(folder).as_posix(): path for path in files_below(folder)}
    present.pop(MANIFEST_FILE)
    for name in sorted(manifest.files.keys() | registered.keys() | present.keys()):
        if name not in present:
            raise ModelAltered(f"model {folder.name}: {name} is missing")
        if name not in manifest.files:
            raise ModelAltered(f"model {folder.name}: {name} was added after the model was saved")
        received = hash_file(present[name])
        check_sha256(folder, name, received, manifest.files[name])
        check_sha256(folder, name, received, registered.get(name, received))
    return manifest


def open_model(
    folder: Path, *, expected_onnx_sha256: str, expected_manifest_sha256: str | None = None, threads: int = 1
) -> OpenModel:
    """Load a model for scoring, once its bytes, its model.json and its probe scores are the registered ones.

    The bytes that are checked are the bytes that are loaded. A manifest's hash of None was never registered: then
    thresholds could be altered unnoticed. Raises ModelAltered when anything differs, IncompatibleModel when the
    folder is incomplete or the model cannot be loaded.
    """
    manifest = _read_registered_manifest(folder, expected_manifest_sha256)
    model = read(folder, ONNX_FILE)
    check_sha256(folder, ONNX_FILE, hashlib.sha256(model).hexdigest(), expected_onnx_sha256)
    classifier = OnnxClassifier(model, preprocessing=manifest.preprocessing, output=manifest.output, threads=threads)
    # One at a time: together they take as much new memory as a batch does, which a scan of one film never needs.
    scores = [classifier.predict(probe[np.newaxis])[0] for probe in read_probe(folder, manifest)]
    received = np.array(scores, dtype=np.float32)
    stored = np.array(manifest.probe_outputs, dtype=np.float32)
    if received.shape != stored.shape or not (np.abs(received - stored) <= PROBE_TOLERANCE).all():
        raise ModelAltered(f"model {folder.name}: the probe X-rays' scores are not the stored ones")
    return OpenModel(manifest, classifier, _open_reference(folder, manifest))


def read_probe(folder: Path, manifest: ModelManifest) -> NDArray[np.uint8]:
    """The probe X-rays of a model folder, (k, height, width) uint8. Raises IncompatibleModel."""
    shape = (len(manifest.probe_outputs), manifest.preprocessing.height, manifest.preprocessing.width)
    try:
        probe = np.load(folder / PROBE_FILE, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise IncompatibleModel(f"model {folder.name}: {PROBE_FILE} cannot be read") from error
    if probe.dtype != np.uint8 or probe.shape != shape:
        raise IncompatibleModel(
            f"model {folder.name}: {PROBE_FILE} holds {probe.dtype} {probe.shape}; expected uint8 {shape}"
        )
    xrays: NDArray[np.uint8] = probe
    return xrays


def _read_registered_manifest(folder: Path, expected_sha256: str | None) -> ModelManifest:
    if expected_sha256 is not None:
        check_sha256(folder, MANIFEST_FILE, hash_manifest(folder), expected_sha256)
    return read_manifest(folder)


def _open_reference(folder: Path, manifest: ModelManifest) -> ChestReference | None:
    if REFERENCE_FILE not in manifest.files:
        return None
    content = read(folder, REFERENCE_FILE)
    check_sha256(folder, REFERENCE_FILE, hashlib.sha256(content).hexdigest(), manifest.files[REFERENCE_FILE])
    return read_reference(content)
