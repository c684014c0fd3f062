"""The immutable folder that holds one model version: write it whole or not at all, check it at every use."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from xray_core.errors import IncompatibleModel, ModelAltered
from xray_core.imaging.content import hash_file
from xray_core.imaging.records import GreyRules, Preprocessing
from xray_core.models.onnx_classifier import OnnxClassifier
from xray_core.models.records import ModelManifest, OperatingPoint, OutputMeaning

KERAS_FILE: Final = "model.keras"


ONNX_FILE: Final = "model.onnx"


MANIFEST_FILE: Final = "model.json"


PROBE_FILE: Final = "probe.npy"


# How far the probe X-rays' scores may be from the stored ones: another processor rounds otherwise.
PROBE_TOLERANCE: Final = 1e-5


_UNFINISHED = ".saving-"


_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def write_model_folder(
    models_dir: Path,
    *,
    version: str,
    architecture: str,
    preprocessing: Preprocessing,
    output: OutputMeaning,
    operating_point: OperatingPoint,
    label_set_sha256: str | None,
    created_at: datetime,
    code_revision: str,
    seed: int | None,
    training: dict[str, str | int | float | bool | None],
    probe: NDArray[np.uint8],
    fill: Callable[[Path], None],
    source_file: str = KERAS_FILE,
) -> ModelManifest:
    """Save a model version as `models_dir/version`, a folder that appears whole or not at all.

    `fill(folder)` writes `source_file`, model.onnx and whatever else belongs there (plots, MODEL_CARD.md) into a
    folder beside the final one. `probe` holds a few fitted X-rays (k, height, width) uint8, whose scores
    are stored and compared at every load. Raises IncompatibleModel when the version exists already, a file is
    missing or the probe's scores are no probabilities; OSError travels up, and nothing is left behind.
    """
    if not _VERSION.fullmatch(version):
        raise ValueError(f"model version {version!r}: expected letters, digits, '.', '_' and '-', at most 80")
    models_dir.mkdir(parents=True, exist_ok=True)
    if (models_dir / version).exists():
        raise IncompatibleModel(f"model version {version} exists already; versions are never overwritten")
    folder = Path(tempfile.mkdtemp(prefix=f"{_UNFINISHED}{version}-", dir=models_dir))
    try:
        fill(folder)
        np.save(folder / PROBE_FILE, probe)
        files = {path.relative_to(folder).as_posix(): hash_file(path) for path in files_below(folder)}
        _require_files(folder, files, source_file)
        manifest = ModelManifest(
            version=version,
            architecture=architecture,
            preprocessing=preprocessing,
            output=output,
            operating_point=operating_point,
            keras_sha256=files[source_file],
            onnx_sha256=files[ONNX_FILE],
            label_set_sha256=label_set_sha256,
            created_at=created_at,
            code_revision=code_revision,
            seed=seed,
            training=training,
            probe_outputs=_score_probe(folder, preprocessing, output, probe),
            files=files,
            source_file=source_file,
        )
        (folder / MANIFEST_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        _publish(folder, models_dir / version)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # once published it has another name
    return manifest


def read_manifest(folder: Path) -> ModelManifest:
    """Read a model folder's model.json. Raises IncompatibleModel when it is missing or malformed."""
    try:
        content = (folder / MANIFEST_FILE).read_bytes()
        manifest = msgspec.json.decode(content, type=ModelManifest)
    except OSError as error:
        raise IncompatibleModel(f"model {folder.name}: {MANIFEST_FILE} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        words, _, path = str(error).partition(" - at `$")
        _, _, missing = words.partition("missing required field ")
        where = ".".join(filter(None, (path.strip("`."), missing.strip("`")))) or "the whole file"
        raise IncompatibleModel(f"model {folder.name}: {MANIFEST_FILE} is malformed at {where}: {words}") from error
    if "rules" not in msgspec.json.decode(content)["preprocessing"]:  # nothing named the rules before there were others
        return replace(manifest, preprocessing=replace(manifest.preprocessing, rules=GreyRules.V1))
    return manifest


def hash_manifest(folder: Path) -> str:
    """The SHA-256 of a model folder's model.json, to be registered with the model."""
    return hashlib.sha256(read(folder, MANIFEST_FILE)).hexdigest()


def remove_unfinished(models_dir: Path, *, older_than_seconds: float = 86_400) -> int:
    """Remove what killed processes left half saved; how many. Younger ones may still be being written."""
    oldest = time.time() - older_than_seconds
    unfinished = [folder for folder in find_unfinished(models_dir) if folder.lstat().st_mtime < oldest]
    for folder in unfinished:
        shutil.rmtree(folder, ignore_errors=True)
    return len(unfinished)


def find_unfinished(models_dir: Path) -> list[Path]:
    """The folders in which a model was being saved, or still is."""
    return sorted(models_dir.glob(f"{_UNFINISHED}*"))


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


def _require_files(folder: Path, files: dict[str, str], source_file: str) -> None:
    missing = [name for name in (source_file, ONNX_FILE) if name not in files]
    if missing:
        raise IncompatibleModel(f"a model folder needs {source_file} and {ONNX_FILE}; missing {' and '.join(missing)}")
    if MANIFEST_FILE in files:
        raise IncompatibleModel(f"{MANIFEST_FILE} is written last, and not by what fills {folder.name}")


def _score_probe(
    folder: Path, preprocessing: Preprocessing, output: OutputMeaning, probe: NDArray[np.uint8]
) -> tuple[float, ...]:
    scores = OnnxClassifier(folder / ONNX_FILE, preprocessing=preprocessing, output=output).predict(probe)
    if not len(scores) or not (np.isfinite(scores).all() and (scores >= 0).all() and (scores <= 1).all()):
        raise IncompatibleModel(f"the model's scores of {len(probe)} probe X-rays are no probabilities in 0..1")
    return tuple(float(score) for score in scores)


def _publish(folder: Path, final: Path) -> None:
    """Force every byte to disk, then give the folder its name: a reader sees all of it or nothing."""
    for path in files_below(folder):
        path.chmod(path.stat().st_mode & ~0o222)
        _sync(path)
    for directory in (*(path for path in folder.rglob("*") if path.is_dir()), folder):
        _sync(directory)
    try:
        folder.rename(final)  # refuses a folder that holds anything, so no version is ever replaced
    except OSError as error:
        if final.exists():
            raise IncompatibleModel(
                f"model version {final.name} exists already; versions are never overwritten"
            ) from error
        raise
    _sync(final.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise IncompatibleModel(f"model {folder.name}: {name} cannot be read: {error.strerror}") from error


def check_sha256(folder: Path, name: str, received: str, expected: str) -> None:
    if received != expected:
        raise ModelAltered(f"model {folder.name}: {name} has sha256 {received[:12]}…; registered {expected[:12]}…")
