"""Does every invariant of the data home hold? The ledger, the models, the exports and the X-rays themselves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from sqlalchemy.orm import Session

from db import audit, invariants
from db.engine import snapshot
from db.registry import models
from db.triggers import find_changed_triggers
from flows.home.folders import folders_of_asides
from flows.home.ledger import open_ledger
from flows.operations.missing_films import check_films
from flows.registry.grey_levels import find_grey_store
from flows.registry.registered import verify_registered
from flows.settings import Settings
from xray_core.errors import IncompatibleModel
from xray_core.exchange.atomic_file import find_asides
from xray_core.exchange.results_csv import is_unchanged
from xray_core.models.folder import find_unfinished
from xray_core.processes.grey_file import ENDING, is_whole
from xray_core.records import plural

_Check = Callable[[Settings, Session], Iterator[str]]


def find_breach(
    settings: Settings, *, on_progress: Callable[[int], None] = lambda _: None
) -> tuple[str | None, list[str]]:
    """The first breach as a sentence, or None, and what was found to be in order before it."""
    in_order: list[str] = []
    with open_ledger(settings) as engine, snapshot(engine) as session:
        for what, check in _CHECKS.items():
            if (breach := next(check(settings, session), None)) is not None:
                return breach, in_order
            in_order.append(what)
        in_order.append(_say_since_when(session))
        films = check_films(settings, session, on_progress=on_progress)
    if (breach := films.find_breach()) is not None:
        return breach, in_order
    return None, [*in_order, films.sentence(), *_say_kept(settings)]


def _say_kept(settings: Settings) -> Iterator[str]:
    """What is derived is no breach when it is damaged: no training believes it, and the next one makes it anew."""
    store = find_grey_store(settings) if settings.greys_dir.is_dir() else None
    if store is None:
        return
    whole = [is_whole(path, store.key) for path in sorted(store.folder.glob(f"*{ENDING}"))]
    damaged = f"; {len(whole) - sum(whole)} are not as they were written, and their films are decoded again"
    yield f"grey levels kept for trainings: {plural(len(whole), 'file')}{'' if all(whole) else damaged}"


def _say_since_when(session: Session) -> str:
    """History before the first seal of an older ledger was never sealed."""
    since = audit.sealed_since(session)
    return "history is sealed " + ("from the start" if since is None else f"since {since:%Y-%m-%d %H:%M} UTC")


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
            head = described["notes"].get("audit_head")
        except (ValueError, KeyError, TypeError, AttributeError):
            yield f"export {manifest.name}: is no manifest that the service wrote"
            continue
        if csv.exists() and not is_unchanged(csv):
            yield f"export {csv.name}: its bytes are not the ones that were written"
        if head is not None and not audit.has_entry(session, head):
            yield (
                f"export {csv.name}: the audit log had the entry {head[:16]} when it was written, and has it no more: "
                "its end was cut off, or the database is an older copy"
            )


def list_unfinished(settings: Settings) -> list[str]:
    """What killed processes have left half written in the home, by its path there; a day later it is removed."""
    asides = [path for folder in folders_of_asides(settings) for path in find_asides(folder)]
    return [
        str(path.relative_to(settings.home) if path.is_relative_to(settings.home) else path)
        for path in (*find_unfinished(settings.models_dir), *asides)
    ]


_CHECKS: dict[str, _Check] = {
    "the ledger: states, results, references, history": _check_ledger,
    "every model's files are the registered ones": _check_models,
    "every export is whole": _check_exports,
}
