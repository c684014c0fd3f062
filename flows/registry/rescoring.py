"""A model's scores of X-rays that the ledger knows, read anew from where they lie; nothing is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from flows.home.films import make_locator
from flows.registry.registered import say_outcome
from flows.settings import Settings
from xray_core.models.open_model import OpenModel
from xray_core.processes.decoding import Decoded
from xray_core.processes.reading import decode_paths
from xray_core.records import FilmPath, Outcome

_BATCH = 64


class Known(Protocol):
    """An X-ray that the ledger knows: its content and where it was last read."""

    @property
    def sha256(self) -> str:
        """Of its content."""

    @property
    def path(self) -> FilmPath:
        """Its folder and the path in it."""


@dataclass(frozen=True, slots=True)
class KnownScore:
    """P(covid) of a known X-ray and what it says; `decoded` is its picture as the model takes it."""

    decoded: Decoded
    probability: float
    outcome: Outcome
    distance: float | None


def score_known(
    settings: Settings, model: OpenModel, xrays: Sequence[Known], *, on_progress: Callable[[int], None] = lambda _: None
) -> dict[str, KnownScore]:
    """Score X-rays by SHA-256; those that are not there any more, or are another content now, are left out."""
    scores: dict[str, KnownScore] = {}
    for batch in _read_batches(settings, model, xrays, on_progress):
        greys = np.stack([item.grey for item in batch])
        oddities = model.reference.find_oddities(greys) if model.reference else [None] * len(batch)
        for item, probability, oddity in zip(batch, model.classifier.predict(greys), oddities, strict=True):
            outcome = say_outcome(model.manifest, float(probability), oddity)
            distance = oddity.distance if oddity else None
            scores[item.sha256] = KnownScore(item, float(probability), outcome, distance)
    return scores


def _read_batches(
    settings: Settings, model: OpenModel, xrays: Sequence[Known], on_progress: Callable[[int], None]
) -> Iterator[list[Decoded]]:
    batch: list[Decoded] = []
    paths = list(map(make_locator(settings), (xray.path for xray in xrays)))
    for item in decode_paths(settings.decoder_limits, paths, model.manifest.preprocessing):
        on_progress(1)
        if isinstance(item, Decoded) and item.sha256 == xrays[item.key].sha256:
            batch.append(item)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
