"""Moving scored files out of the incoming folder, after the commit that recorded them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine

from db.engine import transaction
from db.records import Scored
from db.scoring import xrays
from flows.home.ledger import record_folder
from flows.settings import Settings
from xray_core.imaging.folder import look_again
from xray_core.records import FolderKind, escape_name


def archive_files(settings: Settings, engine: Engine, files: Sequence[Scored]) -> None:
    """Move files that are unchanged since they were read; a name that is taken gets the content's hash in front."""
    assert settings.archive_dir is not None
    settings.archive_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder_id = record_folder(settings, engine, FolderKind.ARCHIVE)
    moved: list[tuple[str, str]] = []
    for file in files:
        seen = file.claimed.seen
        if look_again(settings.incoming_dir, seen) == seen:
            target = _move(settings.incoming_dir, settings.archive_dir, seen.name, file.sha256)
            moved.append((file.sha256, escape_name(os.fsencode(target.name))))
    with transaction(engine) as session:
        xrays.update_paths(session, moved, folder_id=folder_id)


def _move(incoming: Path, archive: Path, name: bytes, sha256: str) -> Path:
    target = archive / os.fsdecode(name)
    if target.exists():
        target = archive / f"{sha256[:16]}-{os.fsdecode(name)}"
    return (incoming / os.fsdecode(name)).replace(target)
