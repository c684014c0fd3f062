"""A model's scores of X-rays that the ledger knows, read anew from where they lie; nothing is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from flows.home.films import make_locator
from flows.settings import Settings
from xray_core.models.open_model import OpenModel
from xray_core.models.records import Score
from xray_core.processes.decoding import Decoded
from xray_core.processes.reading import decode_known
from xray_core.records import FilmPath

if TYPE_CHECKING:
    from xray_core.processes.grey_store import GreyStore

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
    settings: Settings,
    model: OpenModel,
    xrays: Sequence[Known],
    *,
    store: GreyStore | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> dict[str, KnownScore]:
    """Score X-rays by SHA-256; those that are not there any more, or are another content now, are left out.

    With a `store`, which is for labelled films alone, those are decoded that it does not hold.
    """
    return score_decoded(model, _read_unchanged(settings, model, xrays, store, on_progress))


def score_decoded(model: OpenModel, films: Iterable[Decoded]) -> dict[str, KnownScore]:
    """Score films by SHA-256 that were decoded as the model's preprocessing takes them."""
    waiting, scores = iter(films), dict[str, KnownScore]()
    while batch := list(islice(waiting, _BATCH)):
        answers = model.score(np.stack([film.grey for film in batch]))
        scores |= {film.sha256: KnownScore(film, score) for film, score in zip(batch, answers, strict=True)}
    return scores


def _read_unchanged(
    settings: Settings,
    model: OpenModel,
    xrays: Sequence[Known],
    store: GreyStore | None,
    on_progress: Callable[[int], None],
) -> Iterator[Decoded]:
    locate = make_locator(settings)
    films = ((xray, xray.sha256, locate(xray.path)) for xray in xrays)
    for xray, answer in decode_known(settings.decoder_limits, films, model.manifest.preprocessing, store):
        on_progress(1)
        if isinstance(answer, Decoded) and answer.sha256 == xray.sha256:
            yield answer
