"""The folder of a model version: whole or absent, and nothing in it changes unnoticed."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from xray_core.errors import IncompatibleModel, ModelAltered
from xray_core.imaging.content import hash_file
from xray_core.imaging.records import GreyRules
from xray_core.models.folder import read_manifest, remove_unfinished, write_model_folder
from xray_core.models.open_model import open_model, verify_model_folder
from xray_core.models.records import ModelManifest, OperatingPoint, OutputMeaning
from xray_core.networks.architectures import build_network, default_preprocessing
from xray_core.networks.keras_classifier import KerasClassifier, export_onnx, save_keras
from xray_core.networks.records import Architecture
from xray_core.records import Split

pytestmark = pytest.mark.keras

PREPROCESSING = default_preprocessing(Architecture.SEED_CNN, 30)
PROBE = np.random.default_rng(0).integers(0, 256, (4, 30, 30), dtype=np.uint8)
OPERATING_POINT = OperatingPoint(
    lower=0.3,
    upper=0.6,
    target_sensitivity=0.95,
    sensitivity=0.96,
    specificity=0.8,
    positives=20,
    negatives=30,
    chosen_on=Split.VALIDATION,
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model.keras and model.onnx of one small network, and other.onnx of another one."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in ((1, "model"), (2, "other")):
        network = build_network(Architecture.SEED_CNN, input_size=(30, 30), seed=seed)
        classifier = KerasClassifier(network, PREPROCESSING, OutputMeaning.SIGMOID_COVID)
        save_keras(network, folder / f"{name}.keras")
        export_onnx(classifier, folder / f"{name}.onnx")
    return folder


def save(models_dir: Path, models: Path, *, version: str = "v1", fill: Callable[[Path], None] | None = None) -> Path:
    def copy_models(folder: Path) -> None:
        shutil.copy(models / "model.keras", folder)
        shutil.copy(models / "model.onnx", folder)
        (folder / "plots").mkdir()
        (folder / "plots" / "roc.png").write_bytes(b"a picture")
        (folder / "MODEL_CARD.md").write_text("# a card\n")

    write_model_folder(
        models_dir,
        version=version,
        architecture="seed_cnn",
        preprocessing=PREPROCESSING,
        output=OutputMeaning.SIGMOID_COVID,
        operating_point=OPERATING_POINT,
        label_set_sha256="a" * 64,
        created_at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        code_revision="abc1234",
        seed=1,
        training={"epochs": 15, "learning_rate": 0.001, "optimizer": "rmsprop", "balance": True, "weights": None},
        probe=PROBE,
        fill=fill or copy_models,
    )
    return models_dir / version


def verify(folder: Path) -> ModelManifest:
    manifest = read_manifest(folder)
    return verify_model_folder(
        folder, expected_onnx_sha256=manifest.onnx_sha256, expected_keras_sha256=manifest.keras_sha256
    )


def test_a_saved_version_comes_back_with_every_value(tmp_path: Path, models: Path) -> None:
    folder = save(tmp_path, models)

    manifest = verify(folder)

    assert manifest.version == "v1"
    assert manifest.preprocessing == PREPROCESSING
    assert manifest.output is OutputMeaning.SIGMOID_COVID
    assert manifest.operating_point == OPERATING_POINT
    assert manifest.created_at == datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    assert [type(value) for value in manifest.training.values()] == [int, float, str, bool, type(None)]
    assert manifest.onnx_sha256 == hash_file(models / "model.onnx")
    assert sorted(manifest.files) == ["MODEL_CARD.md", "model.keras", "model.onnx", "plots/roc.png", "probe.npy"]
    assert [path.name for path in tmp_path.iterdir()] == ["v1"]


def test_a_champion_opens_with_the_scores_that_were_stored(tmp_path: Path, models: Path) -> None:
    folder = save(tmp_path, models)
    manifest = read_manifest(folder)

    classifier = open_model(folder, expected_onnx_sha256=manifest.onnx_sha256).classifier

    np.testing.assert_allclose(classifier.predict(PROBE), manifest.probe_outputs, atol=1e-6)


def test_a_manifest_of_before_there_were_other_rules_keeps_the_first(tmp_path: Path, models: Path) -> None:
    folder = save(tmp_path, models)
    written = json.loads((folder / "model.json").read_text())
    assert written["preprocessing"].pop("rules") == "v2"
    (folder / "model.json").chmod(0o600)
    (folder / "model.json").write_text(json.dumps(written))

    preprocessing = read_manifest(folder).preprocessing

    assert preprocessing == dataclasses.replace(PREPROCESSING, rules=GreyRules.V1)
    assert preprocessing.version.startswith("v1-")


def test_a_version_is_never_overwritten(tmp_path: Path, models: Path) -> None:
    folder = save(tmp_path, models)
    before = (folder / "model.json").read_bytes()

    with pytest.raises(IncompatibleModel, match="model version v1 exists already"):
        save(tmp_path, models)

    assert (folder / "model.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["v1"]


def test_the_files_of_a_version_cannot_be_written_by_accident(tmp_path: Path, models: Path) -> None:
    folder = save(tmp_path, models)

    assert all(path.stat().st_mode & 0o222 == 0 for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("version", ["", "../up", "a/b", ".hidden", "x" * 81, "a b"])
def test_a_version_that_is_no_plain_name_is_refused(tmp_path: Path, models: Path, version: str) -> None:
    with pytest.raises(ValueError, match="model version"):
        save(tmp_path, models, version=version)


def test_an_incomplete_version_is_not_published(tmp_path: Path, models: Path) -> None:
    with pytest.raises(IncompatibleModel, match=r"missing model\.onnx"):
        save(tmp_path, models, fill=lambda folder: shutil.copy(models / "model.keras", folder) and None)

    assert list(tmp_path.iterdir()) == []


def test_a_failure_while_filling_leaves_nothing_behind(tmp_path: Path, models: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "model.keras").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, models, fill=fail)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["model.onnx", "model.keras", "probe.npy", "plots/roc.png", "MODEL_CARD.md"])
def test_one_changed_byte_in_any_file_is_noticed(tmp_path: Path, models: Path, name: str) -> None:
    file = save(tmp_path, models) / name
    contents = bytearray(file.read_bytes())
    contents[len(contents) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(contents)

    with pytest.raises(ModelAltered, match=f"{name} has sha256"):
        verify(tmp_path / "v1")


def test_a_file_that_was_added_or_removed_is_noticed(tmp_path: Path, models: Path) -> None:
    folder = save(tmp_path, models)
    (folder / "added.txt").write_text("x")

    with pytest.raises(ModelAltered, match=r"added\.txt was added"):
        verify(folder)
    (folder / "added.txt").unlink()
    (folder / "MODEL_CARD.md").unlink()
    with pytest.raises(ModelAltered, match=r"MODEL_CARD\.md is missing"):
        verify(folder)


def replace_in_manifest(folder: Path, **changes: object) -> None:
    path = folder / "model.json"
    contents = json.loads(path.read_bytes()) | changes
    path.chmod(0o644)
    path.write_text(json.dumps(contents))


def test_a_consistent_swap_of_the_model_is_still_not_the_registered_one(tmp_path: Path, models: Path) -> None:
    folder = save(tmp_path, models)
    registered = read_manifest(folder)
    (folder / "model.onnx").unlink()
    shutil.copy(models / "other.onnx", folder / "model.onnx")
    swapped = hash_file(folder / "model.onnx")
    replace_in_manifest(folder, onnx_sha256=swapped, files=registered.files | {"model.onnx": swapped})

    with pytest.raises(ModelAltered, match=r"model\.onnx has sha256"):
        verify_model_folder(
            folder,
            expected_onnx_sha256=registered.onnx_sha256,
            expected_keras_sha256=registered.keras_sha256,
        )
    with pytest.raises(ModelAltered, match=r"model\.onnx has sha256"):
        open_model(folder, expected_onnx_sha256=registered.onnx_sha256)


def test_a_model_whose_meaning_was_turned_round_is_found_by_its_probe(tmp_path: Path, models: Path) -> None:
    folder = save(tmp_path, models)
    replace_in_manifest(folder, output="sigmoid-normal")

    with pytest.raises(ModelAltered, match="probe X-rays' scores are not the stored ones"):
        open_model(folder, expected_onnx_sha256=hash_file(folder / "model.onnx"))


@pytest.mark.parametrize(
    ("contents", "where"),
    [
        (None, "cannot be read: No such file"),
        (b"", "malformed at the whole file"),
        (b"{", "malformed at the whole file"),
        (b"[]", "malformed at the whole file"),
        (b'{"version": "v1"}', "malformed at architecture"),
    ],
)
def test_a_missing_or_malformed_manifest_is_named(
    tmp_path: Path, models: Path, contents: bytes | None, where: str
) -> None:
    path = save(tmp_path, models) / "model.json"
    path.unlink()
    if contents is not None:
        path.write_bytes(contents)

    with pytest.raises(IncompatibleModel, match=where):
        read_manifest(tmp_path / "v1")


def test_a_manifest_with_an_unknown_scaling_names_the_field(tmp_path: Path, models: Path) -> None:
    folder = save(tmp_path, models)
    replace_in_manifest(folder, preprocessing=dataclasses.asdict(PREPROCESSING) | {"scaling": "log"})

    with pytest.raises(IncompatibleModel, match=r"malformed at preprocessing\.scaling"):
        read_manifest(folder)


@pytest.mark.parametrize("damage", ["missing", "empty", "pickle", "another shape"])
def test_a_damaged_probe_stops_the_load(tmp_path: Path, models: Path, damage: str) -> None:
    folder = save(tmp_path, models)
    probe = folder / "probe.npy"
    probe.unlink()
    if damage == "empty":
        probe.write_bytes(b"")
    elif damage == "pickle":
        np.save(probe, np.array([object()], dtype=object), allow_pickle=True)
    elif damage == "another shape":
        np.save(probe, PROBE[:3])

    with pytest.raises(IncompatibleModel, match=r"probe\.npy"):
        open_model(folder, expected_onnx_sha256=hash_file(folder / "model.onnx"))


SAVE_AND_KILL = """
import itertools, json, os, shutil, signal, sys, time
from datetime import UTC, datetime
from pathlib import Path
import numpy as np
from xray_core.models.folder import read_manifest, write_model_folder
models_dir, template, delays = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
old = read_manifest(template)
parts = {name: getattr(old, name) for name in (
    "architecture", "preprocessing", "output", "operating_point", "label_set_sha256", "created_at", "code_revision",
    "seed", "training")}
def fill(folder):
    shutil.copy(template / "model.keras", folder)
    shutil.copy(template / "model.onnx", folder)
    (folder / "history.csv").write_bytes(bytes(2_000_000))
unfinished, kills = 0, 0
while kills < len(delays) or not unfinished:  # until a kill fell into a save
    number, delay = kills, delays[kills % len(delays)]
    kills += 1
    saver = os.fork()
    if saver == 0:
        for count in itertools.count():
            write_model_folder(
                models_dir, version=f"{number}-{count}", probe=np.load(template / "probe.npy"), fill=fill, **parts)
    while not (models_dir / f"{number}-0").exists():
        time.sleep(0.001)
    time.sleep(delay)
    os.kill(saver, signal.SIGKILL)
    os.waitpid(saver, 0)
    unfinished += len(list(models_dir.glob(f".saving-{number}-*")))
"""


def test_twenty_kills_while_saving_leave_no_half_saved_version(tmp_path: Path, models: Path) -> None:
    delays = np.random.default_rng(4).uniform(0.02, 0.25, 20)
    template = save(tmp_path, models)
    models_dir = tmp_path / "models"

    # One process pays for the imports; each saving process is forked from it, and killed.
    subprocess.run([sys.executable, "-c", SAVE_AND_KILL, models_dir, template, json.dumps(list(delays))], check=True)

    published = [folder for folder in models_dir.iterdir() if not folder.name.startswith(".")]
    unfinished = [folder for folder in models_dir.iterdir() if folder.name.startswith(".saving-")]
    assert len(published) >= 20
    assert unfinished
    for folder in published:
        verify(folder)
        open_model(folder, expected_onnx_sha256=read_manifest(folder).onnx_sha256)
    assert remove_unfinished(models_dir) == 0
    old = time.time() - 100_000
    for folder in unfinished:
        os.utime(folder, (old, old))
    assert remove_unfinished(models_dir) == len(unfinished)
