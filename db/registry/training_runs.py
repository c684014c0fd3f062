"""Training runs: exactly one per set of labels, whoever asks for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from db.records import TrainingRun, TrainingState
from db.registry.tables import ModelRow, TrainingRunRow
from db.sealing import changing
from xray_core.errors import ClaimLost
from xray_core.records import Verdict


def claim_training(
    session: Session,
    label_set_sha256: str,
    *,
    watermark: int,
    scanner: str,
    now: datetime,
    lease_seconds: float,
    is_alive: Callable[[str], bool],
    trigger: str,
    policy_sha256: str | None,
    flow_run_id: str | None = None,
) -> int | None:
    """Reserve the training of a label set and return its id, or None when it is done or another is at it.

    A training that failed, whose lease ended or whose process (`scanner`) died is given out again.
    """
    run = TrainingRunRow
    claim: dict[str, Any] = {
        "state": TrainingState.RUNNING,
        "label_watermark": watermark,
        "trigger": trigger,
        "claimed_by": scanner,
        "claimed_until": now + timedelta(seconds=lease_seconds),
        "started_at": now,
        "finished_at": None,
        "reason": None,
        "policy_sha256": policy_sha256,
        "flow_run_id": flow_run_id,
    }
    known = session.scalar(select(run).where(run.label_set_sha256 == label_set_sha256))
    if known is None:
        added = run(label_set_sha256=label_set_sha256, **claim)
        session.add(added)
        session.flush()
        return added.id
    if known.state is TrainingState.FINISHED or _is_running(known, now, is_alive):
        return None
    with changing(session, run, [known.id]):  # a failed training is history until it starts again
        session.execute(update(run).where(run.id == known.id).values(claim))
    return known.id


def is_claimed(session: Session, label_set_sha256: str, *, now: datetime, is_alive: Callable[[str], bool]) -> bool:
    """Whether the training of a label set is done, or at work in a living process."""
    known = session.scalar(select(TrainingRunRow).where(TrainingRunRow.label_set_sha256 == label_set_sha256))
    return known is not None and (known.state is TrainingState.FINISHED or _is_running(known, now, is_alive))


def renew(session: Session, run_id: int, *, scanner: str, now: datetime, lease_seconds: float) -> None:
    """Prolong the lease of a training at work. Raises ClaimLost when another process has it."""
    _update_mine(session, run_id, scanner, {"claimed_until": now + timedelta(seconds=lease_seconds)})


def finish_training(
    session: Session,
    run_id: int,
    *,
    scanner: str,
    candidate_model_id: int | None,
    verdict: Verdict,
    reason: str,
    now: datetime,
) -> None:
    """Store the verdict. Raises ClaimLost when another process has the training: nothing of this one may stay."""
    finished = {"candidate_model_id": candidate_model_id, "verdict": verdict, "reason": reason, "finished_at": now}
    _update_mine(session, run_id, scanner, finished | {"state": TrainingState.FINISHED} | _NO_CLAIM)


def fail_training(session: Session, run_id: int, *, scanner: str, reason: str, now: datetime) -> None:
    """Store why a training failed; it may be claimed again. Raises ClaimLost when another process has it."""
    failed = {"state": TrainingState.FAILED, "reason": reason, "finished_at": now}
    _update_mine(session, run_id, scanner, failed | _NO_CLAIM)


def find_watermark(session: Session, version: str) -> int:
    """The last label that the training of a version could take; 0 for a version that was not trained here."""
    run = TrainingRunRow
    trained = select(run.label_watermark).join(ModelRow, ModelRow.id == run.candidate_model_id)
    return session.scalar(trained.where(ModelRow.version == version).order_by(run.id.desc()).limit(1)) or 0


def list_trainings(session: Session, *, limit: int | None = None) -> list[TrainingRun]:
    """Trainings, the one that started last first."""
    statement = _runs().order_by(TrainingRunRow.started_at.desc(), TrainingRunRow.id.desc()).limit(limit)
    return [_to_record(run, version) for run, version in session.execute(statement).tuples()]


_NO_CLAIM: dict[str, Any] = {"claimed_by": None, "claimed_until": None}


def _is_running(run: TrainingRunRow, now: datetime, is_alive: Callable[[str], bool]) -> bool:
    if run.state is not TrainingState.RUNNING or run.claimed_by is None or run.claimed_until is None:
        return False
    return run.claimed_until > now and is_alive(run.claimed_by)


def _update_mine(session: Session, run_id: int, scanner: str, values: dict[str, Any]) -> None:
    run = TrainingRunRow
    with changing(session, run, [run_id]):
        mine = session.scalars(
            update(run)
            .where(run.id == run_id, run.claimed_by == scanner, run.state == TrainingState.RUNNING)
            .values(values)
            .returning(run.id)
        ).all()
    if not mine:
        raise ClaimLost(f"training {run_id}: {scanner} does not hold it any more; another process took it over")


# The version is None without a candidate: SQLAlchemy's types know no outer join.
def _runs() -> Select[tuple[TrainingRunRow, str]]:
    return select(TrainingRunRow, ModelRow.version).outerjoin(
        ModelRow, ModelRow.id == TrainingRunRow.candidate_model_id
    )


def _to_record(run: TrainingRunRow, candidate_version: str | None) -> TrainingRun:
    return TrainingRun(
        run_id=run.id,
        label_set_sha256=run.label_set_sha256,
        state=run.state,
        label_watermark=run.label_watermark,
        trigger=run.trigger,
        started_at=run.started_at,
        finished_at=run.finished_at,
        candidate_version=candidate_version,
        verdict=run.verdict,
        reason=run.reason,
        policy_sha256=run.policy_sha256,
        flow_run_id=run.flow_run_id,
    )
