"""The service's own jobs, each as one call that a warm process can be asked for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from flows.scan import open_scan
from flows.settings import Settings


def scan_folder(home: str, incoming: str | None = None) -> tuple[float, int]:
    """One whole scoring pass with its rows committed. Seconds, and X-rays scored."""
    settings = Settings(home=Path(home), incoming=Path(incoming) if incoming else None, settle_seconds=0)
    started = time.perf_counter()
    with open_scan(settings) as scan:
        for files in scan.find_batches():
            scan.score(files)
    return time.perf_counter() - started, scan.counts.scored


def warm_up_training() -> None:
    """Import what the training needs."""
    import_module("flows.training")


def train_on_files(
    train: Sequence[tuple[str, bool]], held_out: Sequence[tuple[str, bool]], epochs: int, seed: int
) -> tuple[float, float]:
    """Decode X-rays (path, is covid) once and train the default network on them.

    Seconds of decoding and fit, and the AUC on the held-out X-rays.
    """
    import numpy as np
    from sklearn.metrics import roc_auc_score

    from flows.material import decode_paths
    from xray_core.decoding import Decoded
    from xray_core.keras_classifier import KerasClassifier
    from xray_core.records import OutputMeaning
    from xray_core.training import TrainingOptions, train_network

    options = TrainingOptions(epochs=epochs, seed=seed)
    files = [*train, *held_out]
    started = time.perf_counter()
    decoded = {
        item.key: item.grey
        for item in decode_paths(Settings(), [path.encode() for path, _ in files], options.preprocessing)
        if isinstance(item, Decoded)
    }
    images = np.stack([decoded[place] for place in range(len(files))])
    is_covid = np.array([label for _, label in files])
    edge = len(train)
    trained = train_network(
        images[:edge],
        is_covid[:edge],
        images[edge:],
        is_covid[edge:],
        options.preprocessing,
        options,
        lambda _: None,
    )
    seconds = time.perf_counter() - started
    classifier = KerasClassifier(trained.model, options.preprocessing, OutputMeaning.SIGMOID_COVID)
    return seconds, float(roc_auc_score(is_covid[edge:], classifier.predict(images[edge:])))
