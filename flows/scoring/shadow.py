"""The shadow: the newest candidate scores live X-rays too; its results are marked and never leave as results."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import Engine

from db.engine import snapshot, transaction
from db.records import ClaimedFile, ModelRecord, Scored, Stage
from db.registry import models
from db.scoring import results, xrays
from flows.home.termination import unbroken
from flows.registry.registered import open_registered
from flows.scoring.film_store import FilmStore
from flows.settings import Settings
from xray_core.errors import IncompatibleModel
from xray_core.imaging.records import Preprocessing
from xray_core.models.open_model import OpenModel
from xray_core.processes.decoding import Decoded, Decoder, Undecoded, open_decoder

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shadow:
    """A candidate that scores after the champion; `decoder` is None where both take the same input."""

    engine: Engine
    record: ModelRecord
    model: OpenModel
    decoder: Decoder | None
    store: FilmStore

    def score(
        self,
        answers: Sequence[tuple[ClaimedFile, Decoded | Undecoded]],
        scored: Sequence[Scored],
        flow_run_id: str | None,
    ) -> None:
        """Score the films that the champion has just scored anew, in a transaction of its own."""
        fresh = {file.claimed.file_id: file for file in scored if file.score}
        films = self._fit([(f, a) for f, a in answers if f.file_id in fresh and isinstance(a, Decoded)])
        if not films:
            return
        scores = self.model.score(np.stack([film.grey for _, film in films]))
        said = [
            replace(fresh[file.file_id], score=score, duration_ms=film.seconds * 1000)
            for (file, film), score in zip(films, scores, strict=True)
            if score.is_probability
        ]
        with unbroken(), transaction(self.engine) as session:
            ids = xrays.read_ids(session, [file.sha256 for file in said])
            results.add_results(
                session,
                [(ids[file.sha256], file) for file in said],
                model_id=self.record.model_id,
                preprocessing_version=self.model.manifest.preprocessing.version,
                flow_run_id=flow_run_id,
                now=datetime.now(UTC),
                shadow=True,
            )

    def _fit(self, films: list[tuple[ClaimedFile, Decoded]]) -> list[tuple[ClaimedFile, Decoded]]:
        """The films as this model takes them: read again where its preprocessing is another one."""
        if self.decoder is None:
            return films
        contents = {file.file_id: film.sha256 for file, film in films}
        return [
            (file, again)
            for file, again in self.decoder.decode(self.store.read(file for file, _ in films))
            if isinstance(again, Decoded) and again.sha256 == contents[file.file_id]
        ]


@contextmanager
def open_shadow(
    settings: Settings, engine: Engine, store: FilmStore, champion_takes: Preprocessing
) -> Iterator[Shadow | None]:
    """The newest candidate, ready to score after the champion; None without one, or when it cannot be opened.

    A shadow never stops the scan: what is wrong with it goes into the log.
    """
    with unbroken(), snapshot(engine) as session:
        candidates = models.list_models(session, stage=Stage.CANDIDATE)
    if not candidates:
        yield None
        return
    try:
        model = open_registered(settings, candidates[-1])
    except IncompatibleModel as error:
        _LOG.warning("no shadow scoring: %s", error)
        yield None
        return
    if model.manifest.preprocessing == champion_takes:
        yield Shadow(engine, candidates[-1], model, None, store)
        return
    with open_decoder(
        model.manifest.preprocessing,
        directory=store.directory,
        workers=1,
        timeout_seconds=settings.decode_seconds,
        memory_bytes=settings.decode_mib * 2**20,
        chest_words=settings.chest_words,
    ) as decoder:
        yield Shadow(engine, candidates[-1], model, decoder, store)
