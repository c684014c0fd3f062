"""Is each folder of films the one that it was before? An unmounted share looks like an empty one.

A folder is known by its path and its device. Device numbers mean something on one machine only, so a home keeps its own
list (`folders.json`), and each acceptance of another device stands in the audit log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from db import audit
from db.engine import transaction
from flows.home.ledger import open_ledger
from flows.settings import Settings
from xray_core.errors import FolderMissing
from xray_core.exchange.atomic_file import write_whole
from xray_core.records import FolderKind

_LIST = "folders.json"
_WAY_OUT = "mount the share again; or, if the folder is right as it is now, `xray init --accept-folders`"


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder's absolute path and the device that it lies on (`st_dev`)."""

    path: str
    device: int


def check_folders(settings: Settings) -> None:
    """Raise FolderMissing where a folder is not there or lies on another device; note down those that are new."""
    known = _read_list(settings)
    if settings.archive_folder and settings.archive_folder.is_relative_to(settings.home):
        settings.archive_folder.mkdir(mode=0o700, exist_ok=True)  # a folder of the home itself
    for fault in find_folder_faults(settings):
        raise FolderMissing(fault)
    now = _look(settings)
    if now != known:
        _write_list(settings, now)


def find_folder_faults(settings: Settings) -> list[str]:
    """What is wrong with the incoming and archive folders, one sentence each; writes nothing."""
    return judge_folders(_expected(settings), _read_list(settings), _look(settings))


def judge_folders(
    expected: Mapping[FolderKind, Path], known: Mapping[str, Mount], found: Mapping[str, Mount]
) -> list[str]:
    """The pure half: folders as they are set, as they were, and as they are."""
    faults = []
    for kind, path in expected.items():
        before, now = known.get(kind.value), found.get(kind.value)
        if now is None:
            faults.append(f"{path}: the {kind} folder is not there: {_WAY_OUT.partition(';')[0]}, or make the folder")
        elif before is not None and before.path == now.path and before.device != now.device:
            faults.append(f"{path}: the {kind} folder lies on another device than before: {_WAY_OUT}")
    return faults


def accept_folders(settings: Settings) -> int:
    """Take the folders as they are from now on; returns how many lie elsewhere than before: audited, kind by kind.

    Raises FolderMissing for one that is not there: what is not there cannot be right.
    """
    known, now = _read_list(settings), _look(settings)
    for fault in judge_folders(_expected(settings), {}, now):
        raise FolderMissing(fault)
    moved = {kind: mount for kind, mount in now.items() if known.get(kind) not in (None, mount)}
    with open_ledger(settings) as engine, transaction(engine) as session:
        for kind, mount in moved.items():
            detail = {"device_before": known[kind].device, "device_now": mount.device}
            audit.append(
                session,
                actor="operator (init)",
                action="folder-accepted",
                subject=kind,
                detail=detail,
                now=datetime.now(UTC),
            )
    _write_list(settings, now)  # last: after a kill the alarm stays, and the acceptance is asked for again
    return len(moved)


def _expected(settings: Settings) -> dict[FolderKind, Path]:
    """A bucket is none of them: it says itself when it is not there."""
    folders = {} if settings.incoming_bucket else {FolderKind.INCOMING: settings.incoming_dir}
    return folders | ({FolderKind.ARCHIVE: settings.archive_folder} if settings.archive_folder else {})


def _look(settings: Settings) -> dict[str, Mount]:
    folders = {kind: path for kind, path in _expected(settings).items() if path.is_dir()}
    return {kind.value: Mount(str(path), path.stat().st_dev) for kind, path in folders.items()}


def _read_list(settings: Settings) -> dict[str, Mount]:
    try:
        written = json.loads((settings.home / _LIST).read_bytes())
    except (FileNotFoundError, PermissionError):  # a person who may only look need not see it
        return {}
    return {kind: Mount(**mount) for kind, mount in written.items()}


def _write_list(settings: Settings, mounts: Mapping[str, Mount]) -> None:
    words = json.dumps({kind: asdict(mount) for kind, mount in mounts.items()}, indent=1)
    write_whole(settings.home / _LIST, f"{words}\n".encode())


def find_file_system(place: Path, mounts: Path) -> str:
    """The kind of file system that holds a path, by the longest mount point above it; empty where nobody tells."""
    if not mounts.exists():
        return ""
    rows = [line.split() for line in mounts.read_text().splitlines()]
    above = [(row[1], row[2]) for row in rows if place.resolve().is_relative_to(_unescape_octal(row[1]))]
    return max(above, key=lambda row: len(row[0]), default=("", ""))[1]


def _unescape_octal(text: str) -> str:
    return re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), text)
