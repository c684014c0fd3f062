"""What scoring needs from the first file on: the champion, decoders, the site key, the shadow if any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from db.engine import snapshot
from db.records import ReadFile, ScoredFile
from db.registry import models
from db.scoring import decisions
from flows.home.site_key import pseudonym, read_site_key
from flows.home.termination import unbroken
from flows.settings import Settings
from xray_core.errors import NoChampion

if TYPE_CHECKING:
    from flows.scoring.shadow import Shadow
    from xray_core.models.open_model import OpenModel
    from xray_core.models.scoring import Scored
    from xray_core.processes.decoding import Decoded, Decoder


@dataclass(frozen=True, slots=True)
class Tools:
    """What scoring needs from the first file on: the champion, decoders, the patients' key, the shadow if any."""

    engine: Engine
    model_id: int
    opened: OpenModel
    decoder: Decoder
    site_key: bytes
    shadow: Shadow | None

    def find_scored(self, sha256s: Iterable[str]) -> set[str]:
        """Which of these X-rays the champion has scored before."""
        with unbroken(), snapshot(self.engine) as session:
            return decisions.find_scored(
                session, list(sha256s), self.model_id, self.opened.manifest.preprocessing.version
            )

    def judge(self, item: Scored) -> ScoredFile:
        """A score at the champion's operating point, referred where it is no chest film, with the pseudonym."""
        from flows.registry.registered import say_outcome

        decoded, manifest, oddity = item.decoded, self.opened.manifest, item.oddity
        return ScoredFile(
            read=_to_read_file(decoded, self.site_key),
            probability=item.probability,
            outcome=None if item.probability is None else say_outcome(manifest, item.probability, oddity),
            duration_ms=item.duration_ms,
            refer_reason=oddity.reason if oddity else None,
            distance=oddity.distance if oddity else None,
        )


@contextmanager
def open_tools(settings: Settings, engine: Engine, flow_run_id: str | None) -> Iterator[Tools]:
    from flows.registry.registered import open_registered
    from flows.scoring.shadow import open_shadow
    from xray_core.processes.decoding import open_decoder

    with unbroken(), snapshot(engine) as session:
        champion = models.champion(session)
    if champion is None:
        raise NoChampion(
            "there is no champion to score with: `xray train DATASET_DIR` or `xray models import` makes one"
        )
    opened = open_registered(settings, champion)
    takes = opened.manifest.preprocessing
    with ExitStack() as stack:
        decoder = stack.enter_context(
            open_decoder(
                takes,
                directory=settings.incoming_dir,
                workers=settings.workers,
                timeout_seconds=settings.decode_seconds,
                memory_bytes=settings.decode_mib * 2**20,
                chest_words=settings.chest_words,
            )
        )
        shadow = stack.enter_context(open_shadow(settings, engine, takes, flow_run_id)) if settings.shadow else None
        yield Tools(engine, champion.model_id, opened, decoder, read_site_key(settings), shadow)


def _to_read_file(decoded: Decoded, site_key: bytes) -> ReadFile:
    patient = pseudonym(site_key, decoded.patient_id) if decoded.patient_id else None
    return ReadFile(decoded.key, decoded.sha256, decoded.facts, patient, decoded.dhash)
