"""Homes to measure in: with a champion, with an archive of known files, with results to export."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from db.engine import open_engine, transaction
from db.registry.tables import ModelRow
from db.scoring.tables import IncomingFileRow, ResultRow, XrayRow
from db.sealing import adding
from flows.home.ledger import find_anchor, prepare_ledger, record_folder
from flows.settings import Settings
from xray_core.imaging.folder import sign_file
from xray_core.imaging.records import ScaleRule, Scaling
from xray_core.records import FileFormat, FileState, FolderKind, Label, Outcome, ReasonCode

_ROWS_PER_STATEMENT = 10_000


def make_home(home: str) -> None:
    """A home whose champion is the default network, untrained; beside it lies the same for Keras and plain ONNX."""
    import numpy as np

    from flows.registry.foreign_import import import_model
    from xray_core.networks.architectures import build_network
    from xray_core.networks.records import Architecture

    settings = Settings(home=Path(home))
    prepare_ledger(settings)
    source = Path(home).with_name("untrained.keras")
    network = build_network(Architecture.SEED_CNN, seed=0)
    network.save(source)
    network(np.zeros((1, *network.input_shape[1:]), dtype=np.float32))
    network.export(source.with_suffix(".onnx"), format="onnx", verbose=False)
    import_model(
        settings, source, positive_output=Label.COVID, scaling=Scaling.UNIT, input_size=(150, 150), name="untrained"
    )


def add_known_files(settings: Settings, count: int) -> None:
    """Create `count` empty files in incoming/ and let the ledger know them: decided long ago, nothing to do."""
    folder = settings.incoming_dir
    for number in range(count):
        os.close(os.open(folder / f"known-{number:07d}.png", os.O_CREAT | os.O_WRONLY, 0o600))
    now, known_as = datetime.now(UTC), _record_incoming(settings)
    rows = (_known_row(entry, known_as, now) for entry in os.scandir(os.fsencode(folder)))
    insert_rows(settings, IncomingFileRow, rows)


def add_gone_files(settings: Settings, count: int) -> None:
    """Let the ledger know `count` more files that are not in incoming/ any more: decided, and archived since."""
    now, known_as = datetime.now(UTC), _record_incoming(settings)
    rejected = {"state": FileState.REJECTED, "reason_code": ReasonCode.EMPTY, "reason_detail": "no bytes"}
    insert_rows(
        settings,
        IncomingFileRow,
        (
            _file_row(known_as, f"gone-{number:07d}.png", 400_000, (number, number), now) | rejected
            for number in range(1, count + 1)
        ),
    )


def add_results(settings: Settings, count: int) -> None:
    """Let the ledger hold `count` scored X-rays, each with a result of the champion; there are no files."""
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with transaction(engine) as session:
        model = session.scalars(select(ModelRow)).one()
    engine.dispose()
    now, folder_id = datetime.now(UTC), _record_incoming(settings)
    insert_rows(settings, XrayRow, (_xray_row(number, folder_id, now) for number in range(1, count + 1)))
    insert_rows(settings, ResultRow, (_result_row(number, model, now) for number in range(1, count + 1)))
    insert_rows(settings, IncomingFileRow, (_scored_row(number, folder_id, now) for number in range(1, count + 1)))


def _record_incoming(settings: Settings) -> int:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    folder_id = record_folder(settings, engine, FolderKind.INCOMING)
    engine.dispose()
    return folder_id


def insert_rows(settings: Settings, table: type[Any], rows: Iterator[dict[str, Any]]) -> None:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with transaction(engine) as session:
        while part := list(islice(rows, _ROWS_PER_STATEMENT)):
            with adding(session, table):
                session.connection().execute(insert(table), part)
    engine.dispose()


def _known_row(entry: os.DirEntry[bytes], folder_id: int, now: datetime) -> dict[str, Any]:
    found = entry.stat(follow_symlinks=False)
    times = (found.st_mtime_ns, found.st_ctime_ns)
    return _file_row(folder_id, entry.name.decode(), found.st_size, times, now) | {
        "state": FileState.REJECTED,
        "reason_code": ReasonCode.EMPTY,
        "reason_detail": "no bytes",
    }


def _scored_row(number: int, folder_id: int, now: datetime) -> dict[str, Any]:
    scored = {"state": FileState.SCORED, "xray_id": number}
    return _file_row(folder_id, f"xray-{number:07d}.png", 400_000, (number, number), now) | scored


def _file_row(folder_id: int, name: str, size: int, times: tuple[int, int], now: datetime) -> dict[str, Any]:
    mtime_ns, ctime_ns = times
    return {
        "name": name,
        "size": size,
        "mtime_ns": mtime_ns,
        "ctime_ns": ctime_ns,
        "signature": sign_file(folder_id, name.encode(), size, mtime_ns, ctime_ns),
        "folder_id": folder_id,
        "first_seen_at": now,
        "decided_at": now,
        "tries": 1,
    }


def _xray_row(number: int, folder_id: int, now: datetime) -> dict[str, Any]:
    sha256 = hashlib.sha256(str(number).encode()).hexdigest()
    return {
        "id": number,
        "sha256": sha256,
        "patient": sha256[:32],
        "file_format": FileFormat.PNG,
        "width": 1024,
        "height": 1024,
        "mode": "L",
        "scale_rule": ScaleRule.EIGHT_BIT,
        "flags": "",
        "dhash": sha256[:16],
        "path": f"xray-{number:07d}.png",
        "folder_id": folder_id,
        "first_seen_at": now,
    }


def _result_row(number: int, model: ModelRow, now: datetime) -> dict[str, Any]:
    probability = number % 1000 / 1000
    return {
        "xray_id": number,
        "model_id": model.id,
        "preprocessing_version": model.preprocessing_version,
        "probability": probability,
        "outcome": Outcome.POSITIVE if probability >= 0.5 else Outcome.NEGATIVE,
        "scored_at": now,
        "duration_ms": 15.0,
        "shadow": False,
    }
