"""A model folder opened for scoring, once its bytes and its probe scores hold."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xray_core.errors import IncompatibleModel, ModelAltered
from xray_core.models.chest_reference import REFERENCE_FILE, ChestReference, read_reference
from xray_core.models.folder import (
    KERAS_FILE,
    MANIFEST_FILE,
    ONNX_FILE,
    PROBE_FILE,
    PROBE_TOLERANCE,
    check_sha256,
    files_below,
    hash_file,
    hash_manifest,
    read,
    read_manifest,
)
from xray_core.models.onnx_classifier import OnnxClassifier
from xray_core.models.records import ModelManifest


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A model that is ready to score; `reference` is None where nothing is known of its training X-rays."""

    manifest: ModelManifest
    classifier: OnnxClassifier
    reference: ChestReference | None


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
    registered = {ONNX_FILE: expected_onnx_sha256, KERAS_FILE: expected_keras_sha256}
    found = {path.relative_to(folder).as_posix(): path for path in files_below(folder)}
    found.pop(MANIFEST_FILE)
    for name in sorted(manifest.files.keys() | registered.keys() | found.keys()):
        if name not in found:
            raise ModelAltered(f"model {folder.name}: {name} is missing")
        if name not in manifest.files:
            raise ModelAltered(f"model {folder.name}: {name} was added after the model was saved")
        received = hash_file(found[name])
        check_sha256(folder, name, received, manifest.files[name])
        check_sha256(folder, name, received, registered.get(name, received))
    return manifest


def open_classifier(folder: Path, *, expected_onnx_sha256: str, threads: int = 1) -> OnnxClassifier:
    """Load a model folder's ONNX twin alone; see `open_model`."""
    return open_model(folder, expected_onnx_sha256=expected_onnx_sha256, threads=threads).classifier


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
    received = classifier.predict(read_probe(folder, manifest))
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
