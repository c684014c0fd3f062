"""Decoded X-rays to scores: no content is asked twice, and what is no probability is no score."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from time import perf_counter

import numpy as np

from xray_core.models.open_model import OpenModel
from xray_core.models.records import Score
from xray_core.processes.decoding import Decoded
from xray_core.records import ReasonCode, Refusal


def score_unscored(
    model: OpenModel, xrays: Sequence[Decoded], scored_before: Collection[str]
) -> tuple[list[Score | None], float]:
    """Score the X-rays whose content (SHA-256) has no score yet, in one inference; and the milliseconds it took each.

    None for one that was scored before, or whose content comes again later in the batch.
    """
    places = {xray.sha256: place for place, xray in enumerate(xrays) if xray.sha256 not in scored_before}
    scores: list[Score | None] = [None] * len(xrays)
    if not places:
        return scores, 0.0
    started = perf_counter()
    answers = model.score(np.stack([xrays[place].grey for place in places.values()]))
    for place, score in zip(places.values(), answers, strict=True):
        scores[place] = score
    return scores, (perf_counter() - started) * 1000 / len(places)


def refuse_score(score: Score | None) -> Refusal | None:
    """Why a score cannot be stored, or None."""
    if score is None or score.is_probability:
        return None
    return Refusal(ReasonCode.NON_FINITE_SCORE, "the model's output is not a probability in 0..1")
