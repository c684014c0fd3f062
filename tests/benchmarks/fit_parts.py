"""What decides how fast a fit is here: threads, libraries, and where the time of a step goes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

_BATCH = 8
_CHUNK = 128
_MATRIX = 1024
_SECONDS = 1.0


def explain_fit() -> list[str]:
    """Lines for people; takes some ten seconds. Shares are of the time of a chunk of 128 X-rays."""
    import numpy as np
    from tensorflow.python.util import _pywrap_util_port

    from xray_core.imaging.network_input import scale_pixels
    from xray_core.networks.architectures import build_network
    from xray_core.networks.augmentation import augment
    from xray_core.networks.fitting import make_train_steps
    from xray_core.networks.learning_pass import plan_pass
    from xray_core.networks.options import TrainingOptions
    from xray_core.networks.quiet_keras import tf

    options = TrainingOptions()
    model = build_network(options.architecture, seed=0)
    learning = plan_pass(model, options.architecture, options.preprocessing)
    preprocessing, steps = learning.preprocessing, make_train_steps(model, learning, options)
    random = np.random.default_rng(0)
    greys = random.integers(0, 256, (_CHUNK, preprocessing.height, preprocessing.width)).astype(np.uint8)
    numbers = scale_pixels(greys, preprocessing).reshape(_CHUNK // _BATCH, _BATCH, *greys.shape[1:], -1)
    targets = np.zeros((_CHUNK // _BATCH, _BATCH), dtype=np.float32)
    handed = tf.constant(numbers), tf.constant(targets), tf.constant(targets + 1)
    learn = _seconds_of(lambda: steps(*handed).numpy())
    hand_over = max(0.0, _seconds_of(lambda: steps(numbers, targets, targets + 1).numpy()) - learn)
    augmented = _seconds_of(lambda: augment(greys, random, options.ranges))
    scaled = _seconds_of(lambda: scale_pixels(greys, preprocessing))
    whole = learn + hand_over + augmented + scaled
    square = tf.random.uniform((_MATRIX, _MATRIX))
    limit = 2 * _MATRIX**3 / _seconds_of(lambda: tf.matmul(square, square).numpy())
    # Forward, and backward for inputs and for weights: three times the multiplications.
    needed = 3 * _BATCH * sum(map(_count_operations, model.layers))
    per_second = _CHUNK / _BATCH / whole
    threading = tf.config.threading
    return [
        f"TensorFlow {tf.__version__}, oneDNN {'on' if _pywrap_util_port.IsMklEnabled() else 'off'} "
        f"(TF_ENABLE_ONEDNN_OPTS={os.environ.get('TF_ENABLE_ONEDNN_OPTS', 'unset')}), {len(os.sched_getaffinity(0))} "
        f"cores; threads within an operation {threading.get_intra_op_parallelism_threads() or 'as many'}, between "
        f"operations {threading.get_inter_op_parallelism_threads() or 'as many'}, OMP_NUM_THREADS "
        f"{os.environ.get('OMP_NUM_THREADS', 'unset')}",
        f"of a step: learning {learn / whole:.0%}, augmentation {augmented / whole:.0%}, scaling {scaled / whole:.0%}, "
        f"hand-over {hand_over / whole:.0%}",
        f"{per_second:.1f} steps a second; bare matrix multiplication at {limit / 1e9:.0f} GFLOP/s would make "
        f"{limit / needed:.1f} of what the layers say, which take three equal channels for three",
    ]


def _seconds_of(call: Callable[[], object]) -> float:
    """The least of the rounds that fit into a second, after one that warms up."""
    call()
    least, until = float("inf"), time.perf_counter() + _SECONDS
    while time.perf_counter() < until:
        started = time.perf_counter()
        call()
        least = min(least, time.perf_counter() - started)
    return least


def _count_operations(layer: Any) -> int:
    """Multiplications and additions of a layer for one X-ray: those of its kernel at every place of its output."""
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    places = 1
    for side in layer.output.shape[1:-1]:
        places *= int(side)
    count = 2 * places
    for side in kernel.shape:
        count *= int(side)
    return count
