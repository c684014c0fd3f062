"""What the ledger answers with: frozen values, no session behind them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from xray_core.imaging.records import FileSeen, ImageFacts
from xray_core.models.records import Score
from xray_core.records import (
    AuditVerdict,
    FileFormat,
    FileState,
    FilmPath,
    Label,
    Outcome,
    ReasonCode,
    Refusal,
    Verdict,
)


class Stage(StrEnum):
    """Where a model version stands. Promotion moves it; there is at most one champion."""

    CANDIDATE = "candidate"
    CHAMPION = "champion"
    RETIRED = "retired"
    REJECTED = "rejected"


class TrainingState(StrEnum):
    """Where one training run stands."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ClaimedFile:
    """A file version that one scanner alone may work on until its lease ends."""

    file_id: int
    seen: FileSeen
    deferred_since: datetime | None
    tries: int


@dataclass(frozen=True, slots=True)
class Scored:
    """A claimed file whose bytes are a whole X-ray, with its score, or None where this model has scored it before.

    `patient`, `study` and `image` are pseudonyms, by the film's own header; `sidecar` another patient, by what was laid
    beside the film, and when that was; `dhash` 64 bits in hex.
    """

    claimed: ClaimedFile
    sha256: str
    facts: ImageFacts
    patient: str | None
    dhash: str
    score: Score | None
    duration_ms: float
    sidecar: tuple[str, datetime] | None = None
    study: str | None = None
    image: str | None = None


@dataclass(frozen=True, slots=True)
class StayingFilm:
    """A scored file that is to be archived: what it was when it was read, and its content."""

    file_id: int
    seen: FileSeen
    sha256: str


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """A claimed file that was deferred (with the time of the next look) or rejected."""

    file_id: int
    sha256: str | None
    refusal: Refusal
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class FileFate:
    """What was decided of a file's current version, and when; `outcome` and `scored_at` are of one model's result."""

    state: FileState
    reason: ReasonCode | None
    decided_at: datetime | None
    outcome: Outcome | None
    scored_at: datetime | None


@dataclass(frozen=True, slots=True)
class DatasetXray:
    """An X-ray of a training folder: its content, its escaped path in the folder, and whose it is, if known."""

    sha256: str
    facts: ImageFacts
    patient: str | None
    dhash: str
    path: str
    source: str | None


@dataclass(frozen=True, slots=True)
class FileHistory:
    """What the service knows of one version of a file, and of its X-ray's result today; for `xray why`."""

    file_id: int
    name: str
    size: int
    mtime_ns: int
    state: FileState
    reason_code: ReasonCode | None
    reason_detail: str | None
    xray_sha256: str | None
    first_seen_at: datetime
    decided_at: datetime | None
    retry_at: datetime | None
    tries: int
    claimed_by: str | None
    superseded_at: datetime | None
    probability: float | None
    outcome: Outcome | None
    model_version: str | None
    refer_reason: str | None = None
    distance: float | None = None
    study: str | None = None
    image: str | None = None


@dataclass(frozen=True, slots=True)
class ScoredXray:
    """An X-ray that was scored: its content, where it was last read, one of its files' names, its label."""

    xray_id: int
    sha256: str
    path: FilmPath
    name: str | None
    patient: str | None
    label: Label | None
    file_format: FileFormat
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class FilmFile:
    """A film's content and where its bytes were last read."""

    sha256: str
    path: FilmPath


@dataclass(frozen=True, slots=True)
class DecidedFile:
    """What was decided of a current file: a result, or why there is none. `sha256` is None where no byte was read."""

    xray_id: int | None
    sha256: str | None
    outcome: Outcome | None
    probability: float | None
    refer_reason: str | None
    reason_code: ReasonCode | None
    decided_at: datetime | None
    model_version: str | None


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A registered model version."""

    model_id: int
    version: str
    stage: Stage
    architecture: str
    preprocessing_version: str
    keras_sha256: str
    onnx_sha256: str
    manifest_sha256: str
    label_set_sha256: str | None
    created_at: datetime
    proven: bool
    audit_verdict: AuditVerdict | None


@dataclass(frozen=True, slots=True)
class ChampionTerm:
    """One time as champion: who made which model champion, when, why, on which evidence, and its results so far."""

    version: str
    since: datetime
    until: datetime | None
    actor: str
    reason: str
    evaluation_id: int | None
    xrays_scored: int


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """A stored evaluation of a model on a named set; `figures` is JSON."""

    evaluation_id: int
    model_version: str
    set_name: str
    label_set_sha256: str
    figures: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One training; there is only ever one per label-set digest."""

    run_id: int
    label_set_sha256: str
    state: TrainingState
    label_watermark: int
    trigger: str
    started_at: datetime
    finished_at: datetime | None
    candidate_version: str | None
    verdict: Verdict | None
    reason: str | None
    policy_sha256: str | None
    flow_run_id: str | None


@dataclass(frozen=True, slots=True)
class ScanRecord:
    """One scan, or a row of `scans` equal ones that did nothing (idle, or stopped by the same problem)."""

    started_at: datetime
    finished_at: datetime
    scans: int
    scored: int
    rejected: int
    deferred: int
    problem: str | None
