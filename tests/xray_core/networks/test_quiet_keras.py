"""Keras comes when it is needed, and says nothing of its own start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.keras

ROOT = Path(__file__).parents[3]


def test_a_training_is_asked_for_without_keras() -> None:
    done = run("import sys, flows.training.training; print(sorted({'keras', 'tensorflow'} & sys.modules.keys()))")

    assert done.stdout.strip() == "[]"


def test_keras_that_is_loaded_beside_is_whole_for_whoever_needs_it_first() -> None:
    done = run(
        "from xray_core.networks.quiet_keras import keras, load_beside, tf\n"
        "load_beside(); print(keras.layers.Dense, tf.int8)"
    )

    assert "Dense" in done.stdout
    assert "dtype: 'int8'" in done.stdout
    assert besides_onednn(done.stderr) == ""


def test_a_last_word_is_heard_while_keras_is_being_loaded() -> None:
    said = [
        run(
            "import sys, time; from xray_core.networks.quiet_keras import load_beside\n"
            f"load_beside(); time.sleep({pause})\n"
            "print('the train side has 0 covid X-rays', file=sys.stderr, flush=True)\n"
            "import os; os._exit(0)"
        ).stderr
        for pause in (0, 0.2, 0.5, 1)
    ]

    assert [besides_onednn(words) for words in said] == ["the train side has 0 covid X-rays\n"] * 4


def besides_onednn(words: str) -> str:
    """Without the two lines of TensorFlow 2.21 on processors with oneDNN, which come before it hears of a log level."""
    theirs = ("WARNING: All log messages before absl::InitializeLog()", "oneDNN custom operations are on")
    return "".join(line for line in words.splitlines(keepends=True) if not any(part in line for part in theirs))


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
