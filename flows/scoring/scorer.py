"""What scoring needs from the first file on: the champion, decoders, the site key, the shadow if any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from db.engine import snapshot
from db.records import ClaimedFile, ModelRecord, Scored
from db.registry import models
from db.scoring import decisions
from flows.home.site_key import name_patient, name_uid, read_site_key
from flows.home.termination import unbroken
from flows.scoring.film_store import FilmStore
from flows.settings import Settings
from xray_core.errors import NoChampion, UnreadableXray
from xray_core.imaging.records import UidKind
from xray_core.records import WHILE_CONFOUNDED, AuditVerdict, Refusal

if TYPE_CHECKING:
    from flows.scoring.shadow import Shadow
    from xray_core.models.open_model import OpenModel
    from xray_core.models.records import Score
    from xray_core.processes.decoding import Decoded, Decoder, Undecoded

    _Answer = tuple[ClaimedFile, Decoded | Undecoded]
_Unscored = tuple[ClaimedFile, str | None, Refusal]


@dataclass(frozen=True, slots=True)
class Scorer:
    """A model ready to score incoming files, the decoders that fit them to it, and the key that names patients.

    `store` is where the films lie; `referred_for` why every film is left to a reader, None where the model's thresholds
    decide.
    """

    engine: Engine
    model_id: int
    model: OpenModel
    decoder: Decoder
    site_key: bytes
    shadow: Shadow | None
    store: FilmStore
    referred_for: str | None = None

    def score(self, coming: Iterable[list[_Answer]]) -> tuple[list[_Answer], list[Scored], list[_Unscored]]:
        """Score films, some at a time as they come out of the decoders: all of them, the scores, and what has none.

        That could not be read, or got no probability; with its SHA-256 if known.
        """
        answers: list[_Answer] = []
        scored: list[Scored] = []
        unscored: list[_Unscored] = []
        for some in coming:
            answers += some
            self._score_some(some, scored, unscored)
        return answers, scored, unscored

    def _score_some(self, files: Sequence[_Answer], scored: list[Scored], unscored: list[_Unscored]) -> None:
        """Add to what was scored and to what was not; no content of either is asked twice."""
        from xray_core.models.scoring import refuse_score, score_unscored
        from xray_core.processes.decoding import Decoded

        films = [(file, answer) for file, answer in files if isinstance(answer, Decoded)]
        unscored += [(file, a.sha256, a.refusal) for file, a in files if not isinstance(a, Decoded)]
        contents = [film for _, film in films]
        known = self._find_scored(contents).union(film.sha256 for film in scored)
        scores, inference_ms = score_unscored(self.model, contents, known)
        for (file, film), score in zip(films, scores, strict=True):
            try:
                sidecar = self._read_sidecar(file)
            except UnreadableXray as error:
                unscored.append((file, film.sha256, Refusal(error.reason, error.detail)))
                continue
            if refusal := refuse_score(score):
                unscored.append((file, film.sha256, refusal))
            else:
                scored.append(replace(self._describe(file, film, score, inference_ms), sidecar=sidecar))

    def _find_scored(self, films: Sequence[Decoded]) -> set[str]:
        """Which of these contents this model has scored before."""
        if not films:
            return set()
        version = self.model.manifest.preprocessing.version
        with unbroken(), snapshot(self.engine) as session:
            return decisions.find_scored(session, [film.sha256 for film in films], self.model_id, version)

    def _read_sidecar(self, file: ClaimedFile) -> tuple[str, datetime] | None:
        """The patient's pseudonym by what lies beside a film, and when that was written."""
        sidecar = self.store.read_sidecar(file.seen.name)
        patient = name_patient(self.site_key, sidecar.patient_id) if sidecar else None
        return (patient, sidecar.written_at) if sidecar and patient else None

    def _describe(self, file: ClaimedFile, film: Decoded, score: Score | None, inference_ms: float) -> Scored:
        """What the ledger keeps of a film: its identifiers become pseudonyms here and its pixels stay behind."""
        key, named = self.site_key, film.identifiers
        duration_ms = film.seconds * 1000 + (inference_ms if score else 0)
        if score is not None and self.referred_for is not None:
            score = score.refer(self.referred_for)
        return Scored(
            file,
            film.sha256,
            film.facts,
            name_patient(key, named.patient),
            film.dhash,
            score,
            duration_ms,
            study=name_uid(key, UidKind.STUDY, named.study),
            image=name_uid(key, UidKind.IMAGE, named.image),
        )


def read_champion(engine: Engine) -> int:
    """The id of the model that scores today. Raises NoChampion."""
    with unbroken(), snapshot(engine) as session:
        champion = models.champion(session)
    if champion is None:
        raise NoChampion(
            "there is no champion to score with: `xray train DATASET_DIR` or `xray models import FILE` makes one"
        )
    return champion.model_id


@contextmanager
def open_scorer(settings: Settings, engine: Engine, store: FilmStore, model_id: int) -> Iterator[Scorer]:
    """Load a registered model and its decoders. Raises IncompatibleModel or ModelAltered; NoChampion if unknown."""
    from flows.registry.registered import open_registered
    from xray_core.processes.decoding import open_decoder

    with unbroken(), snapshot(engine) as session:
        record = next((model for model in models.list_models(session) if model.model_id == model_id), None)
    if record is None:
        raise NoChampion(f"model {model_id} is not in this ledger: the batch was made for another one")
    model = open_registered(settings, record)
    with ExitStack() as stack:
        decoder = stack.enter_context(
            open_decoder(
                model.manifest.preprocessing,
                directory=store.directory,
                workers=settings.workers,
                timeout_seconds=settings.decode_seconds,
                memory_bytes=settings.decode_mib * 2**20,
                chest_words=settings.chest_words,
            )
        )
        shadow = None
        if settings.shadow:
            from flows.scoring.shadow import open_shadow

            shadow = stack.enter_context(open_shadow(settings, engine, store, model.manifest.preprocessing))
        referred_for = _find_reason_to_refer(settings, record)
        yield Scorer(engine, model_id, model, decoder, read_site_key(settings), shadow, store, referred_for)


def read_reason_to_refer(settings: Settings, engine: Engine, model_id: int) -> str | None:
    """The same as the ledger and the policy have it now, of a model that was opened before."""
    with unbroken(), snapshot(engine) as session:
        record = next(model for model in models.list_models(session) if model.model_id == model_id)
    return _find_reason_to_refer(settings, record)


def _find_reason_to_refer(settings: Settings, model: ModelRecord) -> str | None:
    """Why every film that the model scores is left to a reader; None where none is for the model's sake.

    The policy is asked for a confounded model alone: a mistake in it stops no other scan.
    """
    if model.audit_verdict is not AuditVerdict.CONFOUNDED:
        return None
    from flows.registry.policy import read_policy

    return WHILE_CONFOUNDED if read_policy(settings).outcomes.refer_while_confounded else None
