"""A Keras model from elsewhere: opened in a process of its own that may be lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xray_core.errors import IncompatibleModel, RefusedInput
from xray_core.imaging.content import hash_file
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.models.records import OutputMeaning
from xray_core.networks.foreign.child import ANSWER, GREY, MAX_FILE_BYTES, PIXELS, REQUEST, TWIN, ChildLimits
from xray_core.networks.foreign.output import OutputRequest
from xray_core.networks.records import InputRange

# A .keras file is a zip of these; their sizes as the zip declares them, which is also all that is ever unpacked.
_PARTS: Final = frozenset({"config.json", "metadata.json", "model.weights.h5"})
_MAX_CONFIG_BYTES: Final = 16 * 2**20
_LIMITS: Final = ChildLimits()
# What a file from elsewhere is called in the model's folder.
_KEPT_AS: Final = {".keras": "model.keras", ".onnx": "source.onnx"}


@dataclass(frozen=True, slots=True)
class ForeignModel:
    """What was learned of a foreign model: `probabilities` are its own P(covid) on `grey`, the fitted X-rays.

    `source_file` is the name of its copy in the folder, `source_sha256` the copy's hash.
    """

    preprocessing: Preprocessing
    output: OutputMeaning
    source_file: str
    source_sha256: str
    grey: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    notes: tuple[str, ...]


def import_network(
    source: Path,
    folder: Path,
    *,
    output: OutputRequest,
    pixels: Sequence[NDArray[np.uint8]],
    scaling: Scaling | None = None,
    input_range: InputRange | None = None,
    input_size: tuple[int, int] | None = None,
    limits: ChildLimits = _LIMITS,
) -> ForeignModel:
    """Copy a `.keras` or `.onnx` file into `folder` and write its twin `folder/model.onnx`, without opening it here.

    A child process with `limits` loads the copy (safe mode, not compiled), reads its input and output, scores
    `pixels` (grey levels of any size, uint8) and exports. Here the twin is compared with those scores.
    `output` says what its outputs mean; `scaling` (of a Keras file), `input_range` (of an ONNX file, which needs it)
    and `input_size` (height, width) say what the file does not.
    Raises RefusedInput for another kind of file and for an option of the other kind, IncompatibleModel, in one
    sentence, for a file that cannot be trusted, loaded or exported.
    """
    _check_options(source, scaling, input_range)
    kept = folder / _KEPT_AS[source.suffix]
    source_sha256 = _copy_file(source, kept)
    if source.suffix == ".keras":
        check_keras_archive(kept, source.name)
    with tempfile.TemporaryDirectory(prefix="xray-import-") as room_name:
        room = Path(room_name)
        request = {
            "model": str(kept.resolve()),
            "output": asdict(output),
            "scaling": scaling and scaling.value,
            "input_range": input_range and input_range.value,
            "input_size": input_size,
            "limits": asdict(limits),
        }
        (room / REQUEST).write_text(json.dumps(request), encoding="utf-8")
        np.savez(room / PIXELS, *pixels)
        _run_child(room, source.name, limits)
        model = _read_answer(room, source.name, (kept.name, source_sha256))
        _check_twin(room / TWIN, source.name, model)
        (folder / "model.onnx").write_bytes((room / TWIN).read_bytes())
    return model


def check_keras_archive(path: Path, name: str) -> None:
    """Refuse, without Keras, what is no `.keras` file or would unpack to something huge; messages call it `name`.

    Raises IncompatibleModel.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {part.filename: part.file_size for part in archive.infolist() if not part.is_dir()}
    except (OSError, zipfile.BadZipFile) as error:
        raise IncompatibleModel(f"{name}: missing, truncated or no .keras file (a zip archive)") from error
    missing = {"config.json", "model.weights.h5"} - sizes.keys()
    strange = {name for name in sizes if name not in _PARTS and not name.startswith("assets/")}
    if missing or strange:
        raise IncompatibleModel(
            f"{name}: no .keras file: {len(missing)} of its parts are missing, {len(strange)} do not belong there"
        )
    if max(sizes["config.json"], sizes.get("metadata.json", 0)) > _MAX_CONFIG_BYTES:
        raise IncompatibleModel(f"{name}: its configuration unpacks to more than {_MAX_CONFIG_BYTES >> 20} MiB")
    if sum(sizes.values()) > MAX_FILE_BYTES:
        raise IncompatibleModel(f"{name}: it unpacks to more than {MAX_FILE_BYTES >> 30} GiB")


def _check_options(source: Path, scaling: Scaling | None, input_range: InputRange | None) -> None:
    if source.suffix not in _KEPT_AS:
        raise RefusedInput(
            f"{source.name}: only .keras files are imported, and .onnx, never {source.suffix or 'another file'}"
        )
    if source.suffix == ".onnx" and input_range is None:
        ways = ", ".join(each.value for each in InputRange)
        raise RefusedInput(
            f"{source.name}: an ONNX file does not say which numbers it was trained on: --input-range, one of {ways}"
        )
    if source.suffix == ".onnx" and scaling is not None:
        raise RefusedInput(f"{source.name}: --scaling is for Keras files; an ONNX file takes --input-range alone")
    if source.suffix == ".keras" and input_range is not None:
        raise RefusedInput(f"{source.name}: --input-range is for ONNX files; a Keras file takes --scaling")


def _copy_file(source: Path, copy: Path) -> str:
    """Copy once, then judge and hash the copy: what is checked is what is used."""
    try:
        with source.open("rb") as given, copy.open("xb") as kept:
            if os.fstat(given.fileno()).st_size > MAX_FILE_BYTES:
                raise IncompatibleModel(f"{source.name}: larger than {MAX_FILE_BYTES >> 30} GiB")
            while block := given.read(1 << 20):
                kept.write(block)
    except OSError as error:
        raise IncompatibleModel(f"{source.name}: it cannot be read: {error.strerror}") from error
    return hash_file(copy)


def _run_child(room: Path, name: str, limits: ChildLimits) -> None:
    command = [sys.executable, "-I", "-m", "xray_core.networks.foreign.child", str(room)]
    # Nothing of our environment, so no password in it, reaches code from elsewhere.
    environment = {"PATH": os.defpath, "HOME": str(room), "TMPDIR": str(room), "LC_ALL": "C.UTF-8"}
    with (room / "stderr").open("wb") as errors:
        child = subprocess.Popen(
            command,
            cwd=room,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            start_new_session=True,
        )
        try:
            code = child.wait(limits.wall_seconds)
        except subprocess.TimeoutExpired:
            raise IncompatibleModel(f"{name}: not loaded and exported within {limits.wall_seconds:g} s") from None
        finally:
            _end_group(child)
    if code == -signal.SIGXCPU:
        raise IncompatibleModel(f"{name}: loading it took more than {limits.cpu_seconds} s of processor time")
    if code != 0:
        raise IncompatibleModel(
            f"{name}: loading it broke the process that tried ({_exit_words(code)});"
            f" it may use {limits.address_space_bytes / 2**30:.0f} GiB of address space"
        )


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _exit_words(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _read_answer(room: Path, name: str, kept: tuple[str, str]) -> ForeignModel:
    """The child's answer; it is data from elsewhere, so every part of it is checked."""
    try:
        answer = json.loads((room / ANSWER).read_bytes()[: 1 << 20])
        if refusal := answer.get("refusal"):
            raise IncompatibleModel(f"{name}: {str(refusal)[:400]}")
        given = answer["preprocessing"]
        preprocessing = Preprocessing(
            height=int(given["height"]),
            width=int(given["width"]),
            channels=int(given["channels"]),
            scaling=Scaling(given["scaling"]),
        )
        grey = np.load(room / GREY, allow_pickle=False)
        probabilities = np.array(answer["probabilities"], dtype=np.float32)
        model = ForeignModel(
            preprocessing=preprocessing,
            output=OutputMeaning(answer["output"]),
            source_file=kept[0],
            source_sha256=kept[1],
            grey=grey,
            probabilities=probabilities,
            notes=tuple(str(note) for note in answer["notes"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IncompatibleModel(f"{name}: the process that loaded it gave no usable answer") from error
    if grey.dtype != np.uint8 or probabilities.shape != grey.shape[:1]:
        raise IncompatibleModel(f"{name}: the process that loaded it gave no usable answer")
    return model


def _check_twin(twin: Path, name: str, model: ForeignModel) -> None:
    from xray_core.models.onnx_classifier import OnnxClassifier, check_parity

    try:
        classifier = OnnxClassifier(twin, preprocessing=model.preprocessing, output=model.output)
        check_parity(model.probabilities, classifier.predict(model.grey))
    except IncompatibleModel as refusal:
        raise IncompatibleModel(f"{name}: {refusal}") from refusal
