"""The service's own jobs, each as one call that a warm process can be asked for."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from flows.scoring.scan import open_scan
from flows.settings import Settings
from tests.benchmarks.processes import processor_seconds


@dataclass(frozen=True, slots=True)
class Scanned:
    """A whole scoring pass: seconds of wall, processor seconds, X-rays scored, cores that others left to it."""

    seconds: float
    processor_seconds: float
    scored: int
    free_cores: float


def scan_folder(home: str, incoming: str | None = None) -> Scanned:
    """Score what is in the folder, every row committed."""
    settings = Settings(home=Path(home), incoming=Path(incoming) if incoming else None, settle_seconds=0)
    all_before, ours_before = processor_seconds()
    started = time.perf_counter()
    with open_scan(settings) as scan:
        for batch in scan.find_batches():
            scan.score(batch)
    seconds = time.perf_counter() - started
    all_after, ours_after = processor_seconds()
    ours = ours_after - ours_before
    others = max(0.0, all_after - all_before - ours)
    return Scanned(seconds, ours, scan.counts.scored, (os.cpu_count() or 1) - others / seconds)


def warm_up_training() -> None:
    """Import what the training needs."""
    import_module("flows.training.training")


def train_on_files(
    train: Sequence[tuple[str, bool]], held_out: Sequence[tuple[str, bool]], epochs: int, seed: int
) -> tuple[float, float]:
    """Decode X-rays (path, is covid) once and train the default network on them.

    Seconds of decoding and fit, and the AUC on the held-out X-rays.
    """
    import numpy as np
    from sklearn.metrics import roc_auc_score

    from xray_core.networks.fitting import train_network
    from xray_core.networks.options import TrainingOptions
    from xray_core.processes.decoding import Decoded
    from xray_core.processes.reading import decode_paths

    options = TrainingOptions(epochs=epochs, seed=seed)
    files = [*train, *held_out]
    started = time.perf_counter()
    decoded = {
        place: answer.grey
        for place, answer in decode_paths(
            Settings().decoder_limits,
            ((place, path.encode()) for place, (path, _) in enumerate(files)),
            options.preprocessing,
        )
        if isinstance(answer, Decoded)
    }
    images = np.stack([decoded[place] for place in range(len(files))])
    is_covid = np.array([label for _, label in files])
    edge = len(train)
    trained = train_network(
        images[:edge],
        is_covid[:edge],
        images[edge:],
        is_covid[edge:],
        preprocessing=options.preprocessing,
        options=options,
        on_epoch=lambda _: None,
    )
    seconds = time.perf_counter() - started
    classifier = trained.classifier
    return seconds, float(roc_auc_score(is_covid[edge:], classifier.predict(images[edge:])))
