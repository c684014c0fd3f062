"""A model's scores of X-rays that the ledger knows, read anew from where they lie; nothing is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np

from flows.home.films import make_locator
from flows.settings import Settings
from xray_core.models.open_model import OpenModel
from xray_core.models.records import Score
from xray_core.processes.decoding import Decoded
from xray_core.processes.reading import decode_paths
from xray_core.records import FilmPath

_BATCH = 64


class Known(Protocol):
    """An X-ray that the ledger knows: its content and where it was last read."""

    @property
    def sha256(self) -> str:
        """Of its content."""

    @property
    def path(self) -> FilmPath:
        """Its folder and the path in it."""


class KnownScore(NamedTuple):
    """A known X-ray as the model takes it, and what the model says of it."""

    decoded: Decoded
    score: Score


def score_known(
    settings: Settings, model: OpenModel, xrays: Sequence[Known], *, on_progress: Callable[[int], None] = lambda _: None
) -> dict[str, KnownScore]:
    """Score X-rays by SHA-256; those that are not there any more, or are another content now, are left out."""
    scores: dict[str, KnownScore] = {}
    unchanged = _read_unchanged(settings, model, xrays, on_progress)
    while batch := list(islice(unchanged, _BATCH)):
        answers = model.score(np.stack([film.grey for film in batch]))
        scores |= {film.sha256: KnownScore(film, score) for film, score in zip(batch, answers, strict=True)}
    return scores


def _read_unchanged(
    settings: Settings, model: OpenModel, xrays: Sequence[Known], on_progress: Callable[[int], None]
) -> Iterator[Decoded]:
    locate = make_locator(settings)
    paths = ((xray, locate(xray.path)) for xray in xrays)
    for xray, answer in decode_paths(settings.decoder_limits, paths, model.manifest.preprocessing):
        on_progress(1)
        if isinstance(answer, Decoded) and answer.sha256 == xray.sha256:
            yield answer
