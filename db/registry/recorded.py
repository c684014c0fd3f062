"""Models and champions against the audit entries of what made them so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import audit
from db.records import ModelRecord, Stage
from db.registry import models
from db.registry.tables import ChampionTermRow, ModelRow

_HASHES = ("keras_sha256", "onnx_sha256", "manifest_sha256")


@dataclass(slots=True)
class _Recorded:
    """What the audit log says of one model."""

    added: Mapping[str, Any] = field(default_factory=dict)
    judged: Mapping[str, Any] | None = None
    stage: Stage = Stage.CANDIDATE


def find_unrecorded(session: Session) -> Iterator[str]:
    """Models and terms that differ from what the audit log recorded, one sentence each."""
    recorded, promoted = _read_records(session)
    for model in models.list_models(session):
        entry = recorded.pop(model.version, None)
        differing = "was never registered" if entry is None else _compare(model, entry)
        if differing:
            yield f"model {model.version}: {differing}, says the audit log"
    for version in sorted(recorded):
        yield f"model {version}: is missing; the audit log has its registration"
    if promoted != _read_terms(session):
        yield "champions: their terms are not the promotions that the audit log has"


def _read_records(session: Session) -> tuple[dict[str, _Recorded], list[tuple[str, str, int | None]]]:
    """Per version what was recorded of it, and every promotion: version, reason, evaluation."""
    recorded: dict[str, _Recorded] = {}
    promoted: list[tuple[str, str, int | None]] = []
    actions = ("model-added", "model-judged", "model-promoted", "model-rejected")
    for action, version, detail in audit.iter_details(session, *actions):
        entry = recorded.setdefault(version, _Recorded())
        match action:
            case "model-added":
                entry.added = detail
            case "model-judged":
                entry.judged = detail
            case "model-rejected":
                entry.stage = Stage.REJECTED
            case _:
                for other in recorded.values():
                    other.stage = Stage.RETIRED if other.stage is Stage.CHAMPION else other.stage
                entry.stage = Stage.CHAMPION
                promoted.append((version, detail["reason"], detail["evaluation_id"]))
    return recorded, promoted


def _compare(model: ModelRecord, entry: _Recorded) -> str | None:
    """In what a model differs from its entries, or None."""
    if any(entry.added.get(name) != getattr(model, name) for name in _HASHES):
        return "its files are not those that were registered"
    if entry.judged is not None and entry.judged != {"proven": model.proven, "audit_verdict": model.audit_verdict}:
        return "what was found out about it is another thing"
    return None if model.stage is entry.stage else f"it is {model.stage}, and should be {entry.stage}"


def _read_terms(session: Session) -> list[tuple[str, str, int | None]]:
    term = ChampionTermRow
    rows = session.execute(
        select(ModelRow.version, term.reason, term.evaluation_id)
        .join(ModelRow, ModelRow.id == term.model_id)
        .order_by(term.id)
    )
    return [(version, reason, evaluation_id) for version, reason, evaluation_id in rows.tuples()]
