"""Evaluations: how models did on named sets of labelled X-rays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.records import EvaluationRecord
from db.registry.tables import EvaluationRow, ModelRow
from db.sealing import adding

_EXTERNAL = "external: "


def add_evaluation(
    session: Session,
    *,
    model_id: int,
    set_name: str,
    label_set_sha256: str,
    figures: Mapping[str, object],
    now: datetime,
) -> int:
    """Store the figures of a model on a set and return the evaluation's id. NaN is refused: JSON has none."""
    row = EvaluationRow(
        model_id=model_id,
        set_name=set_name,
        label_set_sha256=label_set_sha256,
        figures=json.dumps(figures, sort_keys=True, allow_nan=False),
        created_at=now,
    )
    with adding(session, EvaluationRow):
        session.add(row)
    return row.id


def name_external(name: str) -> str:
    """The set name under which the evaluations of an external set are stored."""
    return f"{_EXTERNAL}{name}"


def external_xrays(session: Session) -> set[str]:
    """SHA-256 of every X-ray that has judged a model as part of an external set: no training may take it."""
    stored = session.scalars(select(EvaluationRow.figures).where(EvaluationRow.set_name.startswith(_EXTERNAL)))
    return {sha256 for figures in stored for sha256 in json.loads(figures)["xrays"]}


def latest_external(session: Session, *, version: str) -> dict[str, dict[str, Any]]:
    """The figures of a model's newest evaluation on each external set, by the set's name."""
    stored = list_evaluations(session, version=version)
    return {
        record.set_name.removeprefix(_EXTERNAL): dict(json.loads(record.figures))
        for record in stored
        if record.set_name.startswith(_EXTERNAL)
    }


def latest_figures(session: Session, *, version: str, set_name: str) -> dict[str, Any] | None:
    """The figures of a model's newest evaluation on a set, or None."""
    row = EvaluationRow
    figures = session.scalar(
        select(row.figures)
        .join(ModelRow, ModelRow.id == row.model_id)
        .where(ModelRow.version == version, row.set_name == set_name)
        .order_by(row.id.desc())
        .limit(1)
    )
    return None if figures is None else dict(json.loads(figures))


def list_evaluations(
    session: Session, *, version: str | None = None, set_name: str | None = None
) -> list[EvaluationRecord]:
    """All evaluations, or those of one model or on one set, in the order they were made."""
    row = EvaluationRow
    statement = (
        select(row.id, ModelRow.version, row.set_name, row.label_set_sha256, row.figures, row.created_at)
        .join(ModelRow, ModelRow.id == row.model_id)
        .order_by(row.id)
    )
    if version is not None:
        statement = statement.where(ModelRow.version == version)
    if set_name is not None:
        statement = statement.where(row.set_name == set_name)
    return [EvaluationRecord(*values) for values in session.execute(statement).tuples()]
