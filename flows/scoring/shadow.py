"""The shadow: the newest candidate scores live X-rays too; its results are marked and never leave as results."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import Engine

from db.engine import snapshot, transaction
from db.records import ModelRecord, ReadFile, ScoredFile, Stage
from db.registry import models
from db.scoring import results, xrays
from flows.home.termination import unbroken
from flows.registry.registered import open_registered, say_outcome
from flows.settings import Settings
from xray_core.errors import IncompatibleModel
from xray_core.imaging.records import Preprocessing
from xray_core.models.open_model import OpenModel
from xray_core.processes.decoding import Decoded, Decoder, DecodeRequest, open_decoder

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shadow:
    """A candidate that scores beside the champion; `decoder` is None where both take the same input."""

    engine: Engine
    model: ModelRecord
    opened: OpenModel
    decoder: Decoder | None
    flow_run_id: str | None

    def score(self, scored: Sequence[tuple[Decoded, DecodeRequest]]) -> int:
        """Score what the champion has just scored, in a transaction of its own; how many results there are."""
        fitted = self._fit(scored)
        if not fitted:
            return 0
        greys = np.stack([item.grey for item in fitted])
        probabilities = [float(score) for score in self.opened.classifier.predict(greys)]
        reference = self.opened.reference
        oddities = reference.find_oddities(greys) if reference else [None] * len(fitted)
        files = [
            ScoredFile(
                read=ReadFile(item.key, item.sha256, item.facts, None, item.dhash),
                probability=probability,
                outcome=say_outcome(self.opened.manifest, probability, oddity),
                duration_ms=item.seconds * 1000,
                refer_reason=oddity.reason if oddity else None,
                distance=oddity.distance if oddity else None,
            )
            for item, probability, oddity in zip(fitted, probabilities, oddities, strict=True)
            if 0 <= probability <= 1
        ]
        with unbroken(), transaction(self.engine) as session:
            ids = xrays.read_ids(session, [file.read.sha256 for file in files])
            results.add_results(
                session,
                [(ids[file.read.sha256], file) for file in files],
                model_id=self.model.model_id,
                preprocessing_version=self.opened.manifest.preprocessing.version,
                flow_run_id=self.flow_run_id,
                now=datetime.now(UTC),
                shadow=True,
            )
        return len(files)

    def _fit(self, scored: Sequence[tuple[Decoded, DecodeRequest]]) -> list[Decoded]:
        """The X-rays as this model takes them: read again where its preprocessing is another one."""
        if self.decoder is None:
            return [item for item, _ in scored]
        expected = {item.key: item.sha256 for item, _ in scored}
        again = self.decoder.decode(request for _, request in scored)
        return [item for item in again if isinstance(item, Decoded) and item.sha256 == expected[item.key]]


@contextmanager
def open_shadow(
    settings: Settings, engine: Engine, champion_takes: Preprocessing, flow_run_id: str | None
) -> Iterator[Shadow | None]:
    """The newest candidate, ready to score beside the champion; None without one, or when it cannot be opened.

    A shadow never stops the scan: what is wrong with it goes into the log.
    """
    with unbroken(), snapshot(engine) as session:
        candidates = models.list_models(session, stage=Stage.CANDIDATE)
    if not candidates:
        yield None
        return
    try:
        opened = open_registered(settings, candidates[-1])
    except IncompatibleModel as error:
        _LOG.warning("no shadow scoring: %s", error)
        yield None
        return
    if opened.manifest.preprocessing == champion_takes:
        yield Shadow(engine, candidates[-1], opened, None, flow_run_id)
        return
    with open_decoder(
        opened.manifest.preprocessing,
        directory=settings.incoming_dir,
        workers=1,
        timeout_seconds=settings.decode_seconds,
        memory_bytes=settings.decode_mib * 2**20,
        chest_words=settings.chest_words,
    ) as decoder:
        yield Shadow(engine, candidates[-1], opened, decoder, flow_run_id)
