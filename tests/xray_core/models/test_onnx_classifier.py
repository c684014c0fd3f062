"""The scoring twin: the same numbers as Keras, whichever class its output means."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from xray_core.errors import IncompatibleModel
from xray_core.models.onnx_classifier import OnnxClassifier, check_parity, to_probability_covid
from xray_core.models.records import OutputMeaning
from xray_core.networks.architectures import build_network, default_preprocessing
from xray_core.networks.keras_classifier import KerasClassifier, export_onnx
from xray_core.networks.records import Architecture

pytestmark = pytest.mark.keras

PREPROCESSING = default_preprocessing(Architecture.SEED_CNN, 30)
XRAYS = np.random.default_rng(0).integers(0, 256, (70, 30, 30), dtype=np.uint8)


@pytest.fixture(scope="module")
def keras_classifier() -> KerasClassifier:
    model = build_network(Architecture.SEED_CNN, input_size=(30, 30), seed=1)
    return KerasClassifier(model, PREPROCESSING, OutputMeaning.SIGMOID_COVID)


@pytest.fixture(scope="module")
def onnx_file(keras_classifier: KerasClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("twin") / "model.onnx"
    export_onnx(keras_classifier, path)
    return path


@pytest.mark.parametrize("threads", [1, 2])
def test_the_twin_gives_the_keras_models_scores(
    keras_classifier: KerasClassifier, onnx_file: Path, threads: int
) -> None:
    twin = OnnxClassifier(onnx_file, preprocessing=PREPROCESSING, output=OutputMeaning.SIGMOID_COVID, threads=threads)

    scores = twin.predict(XRAYS)

    assert scores.dtype == np.float32
    assert check_parity(keras_classifier.predict(XRAYS), scores) <= 1e-5


def test_scores_do_not_depend_on_the_batch_they_are_in(onnx_file: Path) -> None:
    twin = OnnxClassifier(onnx_file, preprocessing=PREPROCESSING, output=OutputMeaning.SIGMOID_COVID)

    one_by_one = np.concatenate([twin.predict(XRAYS[index : index + 1]) for index in range(70)])

    np.testing.assert_allclose(twin.predict(XRAYS), one_by_one, atol=1e-6)
    assert twin.predict(XRAYS[:0]).shape == (0,)


def test_a_twin_given_as_bytes_is_the_same(onnx_file: Path) -> None:
    arguments = {"preprocessing": PREPROCESSING, "output": OutputMeaning.SIGMOID_COVID}

    from_bytes = OnnxClassifier(onnx_file.read_bytes(), **arguments)  # type: ignore[arg-type]

    np.testing.assert_array_equal(
        from_bytes.predict(XRAYS),
        OnnxClassifier(onnx_file, **arguments).predict(XRAYS),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("meaning", "outputs", "covid"),
    [
        (OutputMeaning.SIGMOID_COVID, [[0.9], [0.2]], [0.9, 0.2]),
        (OutputMeaning.SIGMOID_NORMAL, [[0.9], [0.2]], [0.1, 0.8]),
        (OutputMeaning.SOFTMAX_COVID_FIRST, [[0.9, 0.1], [0.2, 0.8]], [0.9, 0.2]),
        (OutputMeaning.SOFTMAX_NORMAL_FIRST, [[0.9, 0.1], [0.2, 0.8]], [0.1, 0.8]),
    ],
)
def test_every_output_becomes_the_probability_of_covid(
    meaning: OutputMeaning, outputs: list[list[float]], covid: list[float]
) -> None:
    received = to_probability_covid(np.array(outputs, dtype=np.float32), meaning)

    np.testing.assert_allclose(received, covid, atol=1e-7)


def test_an_output_of_another_shape_than_its_meaning_is_refused(onnx_file: Path) -> None:
    twin = OnnxClassifier(onnx_file, preprocessing=PREPROCESSING, output=OutputMeaning.SOFTMAX_COVID_FIRST)

    with pytest.raises(IncompatibleModel, match=r"softmax-covid-first needs \(n, 2\)"):
        twin.predict(XRAYS)


def test_a_twin_for_another_input_size_is_refused(onnx_file: Path) -> None:
    with pytest.raises(IncompatibleModel, match=r"expected one of \(n, \[150, 150, 1\]\)"):
        OnnxClassifier(
            onnx_file,
            preprocessing=default_preprocessing(Architecture.SEED_CNN),
            output=OutputMeaning.SIGMOID_COVID,
        )


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "noise", "keras"])
def test_a_damaged_twin_is_refused_in_one_sentence(onnx_file: Path, tmp_path: Path, damage: str) -> None:
    damaged = tmp_path / "model.onnx"
    whole = onnx_file.read_bytes()
    contents = {"empty": b"", "truncated": whole[: len(whole) // 2], "noise": bytes(range(256)) * 9, "keras": b"PK\3\4"}
    if damage in contents:
        damaged.write_bytes(contents[damage])

    with pytest.raises(IncompatibleModel, match=r"missing, damaged or no ONNX file"):
        OnnxClassifier(damaged, preprocessing=PREPROCESSING, output=OutputMeaning.SIGMOID_COVID)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -0.1, 1.1])
def test_parity_refuses_what_is_no_probability(wrong: float) -> None:
    good = np.array([0.2, 0.7], dtype=np.float32)
    bad = np.array([0.2, wrong], dtype=np.float32)

    with pytest.raises(IncompatibleModel, match="ONNX twin gives scores that are no probabilities"):
        check_parity(good, bad)


def test_parity_refuses_a_difference_and_names_it() -> None:
    expected = np.array([0.2, 0.7], dtype=np.float32)

    assert check_parity(expected, expected + np.float32(5e-6)) == pytest.approx(5e-6, rel=0.05)
    with pytest.raises(IncompatibleModel, match=r"differs from the Keras model by 0\.0001 on 2 X-rays"):
        check_parity(expected, expected + np.float32(1e-4))


def test_loading_and_scoring_import_nothing_heavy(onnx_file: Path) -> None:
    script = f"""
import sys, numpy as np
from pathlib import Path
from xray_core.models.onnx_classifier import OnnxClassifier
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.models.records import OutputMeaning
assert "onnxruntime" not in sys.modules
twin = OnnxClassifier(Path({str(onnx_file)!r}), preprocessing=Preprocessing(30, 30, 3, Scaling.UNIT),
                      output=OutputMeaning.SIGMOID_COVID)
twin.predict(np.zeros((2, 30, 30), np.uint8))
print(*({{"keras", "tensorflow", "pandas", "matplotlib", "scipy", "sklearn"}} & sys.modules.keys()))
"""

    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == ""
    assert run.stderr == ""


def test_opening_a_model_leaves_no_device_id_and_tells_nobody(onnx_file: Path, tmp_path: Path) -> None:
    """What ONNX Runtime's reports begin with: a folder of its vendor's in the user's cache."""
    code = (
        "import sys; from pathlib import Path; from xray_core.models.onnx_classifier import _open_session\n"
        "_open_session(Path(sys.argv[1]), 1)"
    )
    kept = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    environment = kept | {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PYTHONPATH": str(Path.cwd()),
    }

    subprocess.run([sys.executable, "-c", code, str(onnx_file)], env=environment, check=True, cwd=tmp_path)

    assert list(tmp_path.iterdir()) == []
