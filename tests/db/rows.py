"""Records and rows for the database tests, each a valid one unless told otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from db.audit import Anchor
from db.engine import transaction
from db.records import ClaimedFile, ModelRecord, RefusedFile, Scored
from db.registry import models
from db.scoring import claims, decisions, folders, labels
from xray_core.exchange.records import LabelLine
from xray_core.imaging.records import FileSeen, ImageFacts, Preprocessing, ScaleRule, Scaling
from xray_core.models.records import ModelManifest, OperatingPoint, OutputMeaning, Score
from xray_core.records import FileFormat, FolderKind, Label, Outcome, ReasonCode, Refusal

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ANCHOR = Anchor(bytes(range(32)))
PREPROCESSING = Preprocessing(150, 150, 3, Scaling.UNIT)


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def file_seen(name: str | bytes, *, size: int = 100, mtime_ns: int = 1_000) -> FileSeen:
    encoded = name.encode() if isinstance(name, str) else name
    return FileSeen(encoded, size, mtime_ns, mtime_ns, is_regular=True, is_symlink=False)


def add_incoming(session: Session) -> int:
    """The incoming folder of the home that the tests play; its id."""
    return folders.add_folder(session, FolderKind.INCOMING, "", now=NOW)


def add_dataset_folder(session: Session) -> int:
    """A folder that a training was given; its id."""
    return folders.add_folder(session, FolderKind.DATASET, "/d", now=NOW)


def signed(seen: FileSeen) -> tuple[FileSeen, int]:
    digest = hashlib.blake2b(repr(seen).encode(), digest_size=8).digest()
    return seen, int.from_bytes(digest, signed=True)


def facts(**changes: object) -> ImageFacts:
    return ImageFacts(FileFormat.PNG, 640, 480, "L", ScaleRule.EIGHT_BIT, **changes)  # type: ignore[arg-type]


def scored_file(
    file_id: int, content: str, probability: float | None = 0.9, *, patient: str | None = None, ms: float = 3.5
) -> Scored:
    file = ClaimedFile(file_id, file_seen(content), None, 0)
    score = None
    if probability is not None:
        score = Score(probability, Outcome.POSITIVE if probability >= 0.5 else Outcome.NEGATIVE, None, None)
    return Scored(file, sha256_of(content), facts(), patient, "0f" * 8, score, ms)


def refused_file(file_id: int, reason: ReasonCode, *, retry_at: datetime | None = None) -> RefusedFile:
    return RefusedFile(file_id, None, Refusal(reason, "for a reason"), retry_at)


def manifest(version: str) -> ModelManifest:
    return ModelManifest(
        version=version,
        architecture="seed_cnn",
        preprocessing=PREPROCESSING,
        output=OutputMeaning.SIGMOID_COVID,
        operating_point=OperatingPoint(0.4, 0.6, 0.95, None, None, 0, 0, None),
        keras_sha256=sha256_of(f"keras {version}"),
        onnx_sha256=sha256_of(f"onnx {version}"),
        label_set_sha256=None,
        created_at=NOW,
        code_revision="0" * 40,
        seed=1,
        training={},
        probe_outputs=(),
        files={},
    )


def add_model(session: Session, version: str) -> ModelRecord:
    return models.add_model(
        session,
        manifest(version),
        manifest_sha256=sha256_of(f"manifest {version}"),
        proven=False,
        audit_verdict=None,
        actor="test",
        now=NOW,
    )


def promote(session: Session, version: str, *, now: datetime = NOW, reason: str = "it is better") -> ModelRecord:
    return models.promote(session, version, actor="test", reason=reason, evaluation_id=None, now=now)


def add_champion(engine: Engine, version: str = "m1") -> ModelRecord:
    with transaction(engine) as session:
        add_model(session, version)
        return promote(session, version)


def claim(
    engine: Engine,
    *files: FileSeen | str,
    scanner: str = "a",
    now: datetime = NOW,
    alive: Sequence[str] = ("a", "b"),
) -> list[ClaimedFile]:
    seen = [file_seen(file) if isinstance(file, str) else file for file in files]
    with transaction(engine) as session:
        return claims.claim_files(
            session,
            [signed(file) for file in seen],
            folder_id=add_incoming(session),
            scanner=scanner,
            now=now,
            lease_seconds=600,
            is_alive=lambda name: name in alive,
        )


def record(
    engine: Engine,
    *,
    scored: Sequence[Scored] = (),
    refused: Sequence[RefusedFile] = (),
    scanner: str = "a",
    model: ModelRecord | None = None,
    now: datetime = NOW,
) -> None:
    with transaction(engine) as session:
        decisions.record_batch(
            session,
            scored=scored,
            refused=refused,
            scanner=scanner,
            model_id=model.model_id if model else None,
            preprocessing_version=model.preprocessing_version if model else None,
            folder_id=add_incoming(session),
            flow_run_id=None,
            now=now,
        )


def score_files(
    engine: Engine, model: ModelRecord, contents: dict[str, str], *, patient: str | None = None, now: datetime = NOW
) -> None:
    """Claim and score files by name, each with its content."""
    claimed = claim(engine, *contents, now=now)
    files = [scored_file(file.file_id, contents[file.seen.name.decode()], patient=patient) for file in claimed]
    record(engine, scored=files, model=model, now=now)


def label_row(
    name: str = "", label: Label = Label.COVID, *, line: int = 2, content: str | None = None, reader: str | None = "r1"
) -> LabelLine:
    return LabelLine(line, name, sha256_of(content) if content else None, label, reader, None)


def import_labels(engine: Engine, *rows: LabelLine) -> int:
    with transaction(engine) as session:
        matched, problems = labels.match_labels(session, rows)
        assert problems == []
        return labels.add_labels(session, matched, source="csv", import_sha256="0" * 64, now=NOW)
