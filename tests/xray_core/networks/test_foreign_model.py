"""Model files from elsewhere: good ones are imported, hostile and damaged ones cost a child process at most."""

from __future__ import annotations

import json
import shutil
import subprocess
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.patience import here
from xray_core.errors import IncompatibleModel, RefusedInput
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.models.onnx_classifier import OnnxClassifier
from xray_core.models.records import OutputMeaning
from xray_core.networks.architectures import build_network
from xray_core.networks.foreign.child import ChildLimits
from xray_core.networks.foreign.model import ForeignModel, check_keras_archive, import_network
from xray_core.networks.foreign.output import OutputRequest
from xray_core.networks.keras_classifier import KerasClassifier, load_untrusted_keras
from xray_core.networks.quiet_keras import keras
from xray_core.networks.records import Architecture

pytestmark = pytest.mark.keras


def draw_pixels() -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, size, dtype=np.uint8) for size in ((60, 80), (30, 30), (100, 40), (333, 222))]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "good.keras"
    build_network(Architecture.SEED_CNN, input_size=(30, 30), seed=1).save(path)
    return path


def import_into(folder: Path, source: Path, *, limits: ChildLimits | None = None, **given: object) -> ForeignModel:
    folder.mkdir(exist_ok=True)
    return import_network(
        source,
        folder,
        **{"output": OutputRequest("normal"), "pixels": draw_pixels(), "scaling": Scaling.UNIT, **given},  # type: ignore[arg-type]
        limits=limits or ChildLimits(),
    )


def test_a_good_model_is_imported_with_keras_own_scores(tmp_path: Path, good: Path) -> None:
    imported = import_into(tmp_path / "new", good)

    assert imported.preprocessing == Preprocessing(30, 30, 3, Scaling.UNIT)
    assert imported.output is OutputMeaning.SIGMOID_NORMAL
    assert imported.grey.shape == (4, 30, 30)
    own = KerasClassifier(keras.saving.load_model(good, compile=False), imported.preprocessing, imported.output)
    np.testing.assert_allclose(imported.probabilities, own.predict(imported.grey), atol=1e-6)
    twin = OnnxClassifier(tmp_path / "new" / "model.onnx", preprocessing=imported.preprocessing, output=imported.output)
    np.testing.assert_allclose(twin.predict(imported.grey), imported.probabilities, atol=1e-5)
    assert (tmp_path / "new" / "model.keras").read_bytes() == good.read_bytes()


def rewrite(source: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Copy a .keras archive with its parts changed."""
    with zipfile.ZipFile(source) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents in parts.items():
            archive.writestr(name, contents)
    return target


def change_config(parts: dict[str, bytes], change: Callable[[list[dict[str, object]]], None]) -> None:
    config = json.loads(parts["config.json"])
    change(config["config"]["layers"])
    parts["config.json"] = json.dumps(config).encode()


def test_code_in_a_lambda_layer_is_refused_and_not_run(tmp_path: Path) -> None:
    flag = tmp_path / "executed"
    path = tmp_path / "lambda.keras"
    run_me = keras.layers.Lambda(
        lambda x, where=str(flag): (__import__("pathlib").Path(where).touch(), x)[1], output_shape=(1,)
    )
    keras.Sequential([keras.Input((30, 30, 3)), keras.layers.Flatten(), keras.layers.Dense(1), run_me]).save(path)
    flag.unlink(missing_ok=True)

    with pytest.raises(IncompatibleModel, match=r"lambda\.keras: Keras cannot load it"):
        import_into(tmp_path / "new", path)

    assert not flag.exists()
    assert not (tmp_path / "new" / "model.onnx").exists()


def test_a_function_of_the_system_in_the_configuration_is_refused_and_not_run(tmp_path: Path, good: Path) -> None:
    flag = tmp_path / "executed"

    def call_system(layers: list[dict[str, object]]) -> None:
        layers[2] = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
        layers[2]["build_config"] = {"input_shape": f"touch {flag}"}

    path = rewrite(good, tmp_path / "system.keras", lambda parts: change_config(parts, call_system))

    with pytest.raises(IncompatibleModel, match="Keras cannot load it"):
        load_untrusted_keras(path)

    assert not flag.exists()


@pytest.mark.slow  # TensorFlow waits ten seconds for memory that never comes
def test_a_layer_of_200_million_units_costs_the_child_alone(tmp_path: Path, good: Path) -> None:
    def swell(layers: list[dict[str, object]]) -> None:
        dense = next(layer for layer in layers if layer["class_name"] == "Dense")
        dense["config"]["units"] = 200_000_000  # type: ignore[index]

    path = rewrite(good, tmp_path / "swollen.keras", lambda parts: change_config(parts, swell))
    limits = ChildLimits(address_space_bytes=4 * 2**30, cpu_seconds=60, wall_seconds=here(60))

    with pytest.raises(IncompatibleModel, match=r"swollen\.keras: .*(needs more memory|broke the process)"):
        import_into(tmp_path / "new", path, limits=limits)


def test_nan_weights_are_refused(tmp_path: Path) -> None:
    model = build_network(Architecture.SEED_CNN, input_size=(30, 30), seed=1)
    kernel, bias = model.layers[0].get_weights()
    model.layers[0].set_weights([kernel * np.nan, bias])
    model.save(tmp_path / "nan.keras")

    with pytest.raises(IncompatibleModel, match=r"nan\.keras: its weights are not all numbers"):
        import_into(tmp_path / "new", tmp_path / "nan.keras")


def test_a_layer_without_its_weights_is_refused(tmp_path: Path, good: Path) -> None:
    def drop_a_layer(parts: dict[str, bytes]) -> None:
        (tmp_path / "weights.h5").write_bytes(parts["model.weights.h5"])
        with h5py.File(tmp_path / "weights.h5", "r+") as file:
            del file["layers/conv2d_1"]
        parts["model.weights.h5"] = (tmp_path / "weights.h5").read_bytes()

    path = rewrite(good, tmp_path / "lacking.keras", drop_a_layer)

    with pytest.raises(IncompatibleModel, match="Keras cannot load it: ValueError: A total of 1 objects"):
        load_untrusted_keras(path)


def test_a_model_that_takes_too_long_is_given_up(tmp_path: Path, good: Path) -> None:
    with pytest.raises(IncompatibleModel, match=r"not loaded and exported within 0\.5 s"):
        import_into(tmp_path / "new", good, limits=ChildLimits(wall_seconds=0.5))


def test_a_model_that_uses_too_much_processor_time_is_given_up(tmp_path: Path, good: Path) -> None:
    with pytest.raises(IncompatibleModel, match=r"more than 1 s of processor time|broke the process"):
        import_into(tmp_path / "new", good, limits=ChildLimits(cpu_seconds=1))


def test_a_configuration_of_300_megabytes_is_refused_without_unpacking_it(tmp_path: Path, good: Path) -> None:
    def swell(parts: dict[str, bytes]) -> None:
        parts["config.json"] = parts["config.json"][:-1] + b" " * 300_000_000 + b"}"

    path = rewrite(good, tmp_path / "deflated.keras", swell)
    assert path.stat().st_size < good.stat().st_size + 1_000_000
    tracemalloc.start()

    with pytest.raises(IncompatibleModel, match="configuration unpacks to more than 16 MiB"):
        check_keras_archive(path, path.name)

    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 50_000_000


@pytest.mark.parametrize("damage", ["h5 renamed", "truncated", "empty", "missing", "extra part", "no weights"])
def test_what_is_no_whole_keras_file_is_refused_before_any_process_starts(
    tmp_path: Path, good: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start_nothing(*arguments: object, **options: object) -> None:
        raise AssertionError("a process was started")

    path = tmp_path / "damaged.keras"
    match damage:
        case "h5 renamed":
            with h5py.File(path, "w") as file:
                file["x"] = 1
        case "truncated":
            path.write_bytes(good.read_bytes()[:-500])
        case "empty":
            path.write_bytes(b"")
        case "extra part":
            rewrite(good, path, lambda parts: parts.update({"../../evil.py": b"x"}))
        case "no weights":
            rewrite(good, path, lambda parts: parts.pop("model.weights.h5") and None)
    monkeypatch.setattr(subprocess, "Popen", start_nothing)

    with pytest.raises(IncompatibleModel, match=r"^damaged\.keras: "):
        import_into(tmp_path / "new", path)


@pytest.mark.parametrize("name", ["model.h5", "model.pkl", "model.joblib", "saved_model", "model.zip"])
def test_only_the_keras_format_is_imported(tmp_path: Path, good: Path, name: str) -> None:
    shutil.copy(good, tmp_path / name)

    with pytest.raises(RefusedInput, match=r"only \.keras files are imported"):
        import_into(tmp_path / "new", tmp_path / name)


def test_a_flipped_byte_in_the_weights_is_found(tmp_path: Path, good: Path) -> None:
    contents = bytearray(good.read_bytes())
    contents[len(contents) // 2] ^= 0xFF
    (tmp_path / "flipped.keras").write_bytes(contents)

    with pytest.raises(IncompatibleModel, match=r"Keras cannot load it: .*CRC"):
        load_untrusted_keras(tmp_path / "flipped.keras")
