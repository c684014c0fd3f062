"""Decoded X-rays to P(covid): inference in batches while the decoders work on the next ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xray_core.models.chest_reference import ChestReference
from xray_core.models.records import Oddity
from xray_core.processes.decoding import Decoded, Undecoded
from xray_core.records import ReasonCode, Refusal


class Classifier(Protocol):
    """A trained classifier, as scoring sees it."""

    def predict(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Fitted grey levels (n, height, width) uint8 to P(covid) (n,) float32."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A decoded X-ray with its P(covid), or None where this model has scored the same content before.

    `oddity` says how far it is from a chest film; None where the model has no reference.
    """

    decoded: Decoded
    probability: float | None
    duration_ms: float
    oddity: Oddity | None = None


def score_batches(
    read_files: Iterable[Decoded | Undecoded],
    classifier: Classifier,
    *,
    batch_size: int,
    find_scored: Callable[[Collection[str]], set[str]],
    reference: ChestReference | None = None,
) -> Iterator[list[Scored | Undecoded]]:
    """Take files as the decoders deliver them, `batch_size` at a time, and yield each batch with its scores.

    Refused files travel along, so that a batch is one transaction whatever it holds. Content that the model
    has scored before, or twice in one batch, is inferred once. A score that is not a number in 0..1 becomes
    the refusal NON_FINITE_SCORE.
    """
    incoming = iter(read_files)
    while batch := list(islice(incoming, batch_size)):
        yield _score_batch(batch, classifier, find_scored, reference)


def _score_batch(
    batch: list[Decoded | Undecoded],
    classifier: Classifier,
    find_scored: Callable[[Collection[str]], set[str]],
    reference: ChestReference | None,
) -> list[Scored | Undecoded]:
    fresh = {item.sha256: item for item in batch if isinstance(item, Decoded)}
    for sha256 in find_scored(fresh.keys()) if fresh else ():
        del fresh[sha256]
    started = perf_counter()
    probabilities = _predict(list(fresh.values()), classifier)
    oddities = _find_oddities(list(fresh.values()), reference)
    inference_ms = (perf_counter() - started) * 1000 / max(1, len(fresh))
    return [
        item
        if isinstance(item, Undecoded)
        else _with_score(item, probabilities.get(item.key), oddities.get(item.key), inference_ms)
        for item in batch
    ]


def _predict(decoded: list[Decoded], classifier: Classifier) -> dict[int, float]:
    if not decoded:
        return {}
    scores = classifier.predict(np.stack([item.grey for item in decoded]))
    return {item.key: float(score) for item, score in zip(decoded, scores, strict=True)}


def _find_oddities(decoded: list[Decoded], reference: ChestReference | None) -> dict[int, Oddity]:
    if reference is None or not decoded:
        return {}
    found = reference.find_oddities(np.stack([item.grey for item in decoded]))
    return {item.key: oddity for item, oddity in zip(decoded, found, strict=True)}


def _with_score(
    item: Decoded, probability: float | None, oddity: Oddity | None, inference_ms: float
) -> Scored | Undecoded:
    if probability is not None and not (math.isfinite(probability) and 0 <= probability <= 1):
        refusal = Refusal(ReasonCode.NON_FINITE_SCORE, "the model's output is not a probability in 0..1")
        return Undecoded(item.key, item.sha256, refusal)
    return Scored(item, probability, item.seconds * 1000 + (inference_ms if probability is not None else 0), oddity)
