"""Does every invariant of the data home hold? The ledger, the models, the exports and the X-rays themselves."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy.orm import Session

from db import audit, invariants
from db.engine import snapshot
from db.registry import models
from db.scoring import file_history
from db.triggers import find_changed_triggers
from flows.home.folders import folders_of_asides
from flows.home.ledger import open_ledger
from flows.registry.registered import verify_registered
from flows.settings import Settings
from xray_core.errors import IncompatibleModel
from xray_core.exchange.atomic_file import find_asides
from xray_core.models.folder import find_unfinished
from xray_core.records import unescape_name

_Check = Callable[[Settings, Session], Iterator[str]]


def find_breach(settings: Settings) -> tuple[str | None, list[str]]:
    """The first breach as a sentence, or None, and what was found to be in order before it."""
    in_order: list[str] = []
    with open_ledger(settings) as engine, snapshot(engine) as session:
        for what, check in _CHECKS.items():
            if (breach := next(check(settings, session), None)) is not None:
                return breach, in_order
            in_order.append(what)
    return None, in_order


def _check_ledger(_settings: Settings, session: Session) -> Iterator[str]:
    yield from invariants.find_breaches(session)
    yield from find_changed_triggers(session)


def _check_models(settings: Settings, session: Session) -> Iterator[str]:
    for model in models.list_models(session):
        try:
            verify_registered(settings, model)
        except IncompatibleModel as error:
            yield str(error)


def _check_exports(settings: Settings, session: Session) -> Iterator[str]:
    """A CSV and its manifest are written one after the other: a CSV alone is whole, one that differs is not.

    The head of the audit log that a manifest holds is an entry of the log for ever.
    """
    for manifest in sorted(settings.exports_dir.glob("*.manifest.json")):
        csv = manifest.with_name(manifest.name.removesuffix(".manifest.json"))
        try:
            described = json.loads(manifest.read_bytes())
            sha256, head = described["sha256"], described["notes"].get("audit_head")
        except (ValueError, KeyError, TypeError, AttributeError):
            yield f"export {manifest.name}: is no manifest that the service wrote"
            continue
        if csv.exists() and _hash(csv) != sha256:
            yield f"export {csv.name}: its bytes are not the ones that were written"
        if head is not None and not audit.has_entry(session, head):
            yield (
                f"export {csv.name}: the audit log had the entry {head[:16]} when it was written, and has it no more: "
                "its end was cut off, or the database is an older copy"
            )


def _check_sources(settings: Settings, session: Session) -> Iterator[str]:
    """The bytes of scored files are those that were scored, as long as size and mtime say they are the same file."""
    for name, size, mtime_ns, sha256 in file_history.iter_scored(session):
        path = os.path.join(os.fsencode(settings.incoming_dir), unescape_name(name))
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            continue  # taken away since: its result stays
        if (found.st_size, found.st_mtime_ns) == (size, mtime_ns) and _hash(Path(os.fsdecode(path))) != sha256:
            yield f"{name}: its bytes changed behind the same size and time"


def list_unfinished(settings: Settings) -> list[str]:
    """What killed processes have left half written in the home, by its path there; a day later it is removed."""
    asides = [path for folder in folders_of_asides(settings) for path in find_asides(folder)]
    return [
        str(path.relative_to(settings.home) if path.is_relative_to(settings.home) else path)
        for path in (*find_unfinished(settings.models_dir), *asides)
    ]


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_CHECKS: dict[str, _Check] = {
    "the ledger: states, results, references, history": _check_ledger,
    "every model's files are the registered ones": _check_models,
    "every export is whole": _check_exports,
    "scored files that still lie in the incoming folder have the bytes that were scored": _check_sources,
}
