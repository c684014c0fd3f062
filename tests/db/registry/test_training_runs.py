from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from db.engine import snapshot, transaction
from db.records import TrainingState
from db.registry import training_runs
from tests.db.rows import NOW, add_model
from xray_core.errors import ClaimLost
from xray_core.records import Verdict

DIGEST = "d" * 64


def claim(
    engine: Engine, scanner: str, *, now: datetime = NOW, alive: Sequence[str] = ("a", "b"), digest: str = DIGEST
) -> int | None:
    with transaction(engine) as session:
        return training_runs.claim_training(
            session,
            digest,
            watermark=7,
            scanner=scanner,
            now=now,
            lease_seconds=600,
            is_alive=lambda name: name in alive,
            trigger="event",
            policy_sha256="e" * 64,
            flow_run_id="run 1",
        )


def finish(engine: Engine, run_id: int, scanner: str, *, model_id: int | None = None, now: datetime = NOW) -> None:
    with transaction(engine) as session:
        training_runs.finish_training(
            session,
            run_id,
            scanner=scanner,
            candidate_model_id=model_id,
            verdict=Verdict.REJECT,
            reason="worse",
            now=now,
        )


def is_claimed(engine: Engine, *, alive: Sequence[str] = ("a",)) -> bool:
    with snapshot(engine) as session:
        return training_runs.is_claimed(session, DIGEST, now=NOW, is_alive=lambda name: name in alive)


def test_one_training_per_label_set(engine: Engine) -> None:
    first = claim(engine, "a")

    assert first is not None
    assert claim(engine, "b") is None
    assert is_claimed(engine)


def test_a_finished_training_is_never_given_out_again(engine: Engine) -> None:
    run_id = claim(engine, "a")
    assert run_id is not None
    finish(engine, run_id, "a")

    assert claim(engine, "b", now=NOW + timedelta(days=9), alive=[]) is None
    assert is_claimed(engine, alive=[])


def test_a_failed_training_is_given_out_again(engine: Engine) -> None:
    run_id = claim(engine, "a")
    assert run_id is not None
    with transaction(engine) as session:
        training_runs.fail_training(session, run_id, scanner="a", reason="no space", now=NOW)

    assert not is_claimed(engine)
    assert claim(engine, "b") == run_id


def test_a_training_whose_process_died_or_whose_lease_ended_is_taken_over(engine: Engine) -> None:
    run_id = claim(engine, "a")

    assert claim(engine, "b", alive=["b"]) == run_id
    assert claim(engine, "a", now=NOW + timedelta(seconds=601)) == run_id


def test_a_renewed_lease_holds(engine: Engine) -> None:
    run_id = claim(engine, "a")
    assert run_id is not None
    later = NOW + timedelta(seconds=500)
    with transaction(engine) as session:
        training_runs.renew(session, run_id, scanner="a", now=later, lease_seconds=600)

    assert claim(engine, "b", now=NOW + timedelta(seconds=1000)) is None


def test_who_lost_the_training_may_neither_renew_nor_finish_nor_fail_it(engine: Engine) -> None:
    run_id = claim(engine, "a")
    assert run_id is not None
    claim(engine, "b", alive=["b"])

    with pytest.raises(ClaimLost, match="a does not hold it"), transaction(engine) as session:
        training_runs.renew(session, run_id, scanner="a", now=NOW, lease_seconds=600)
    with pytest.raises(ClaimLost):
        finish(engine, run_id, "a")
    with pytest.raises(ClaimLost), transaction(engine) as session:
        training_runs.fail_training(session, run_id, scanner="a", reason="late", now=NOW)


def test_a_finished_training_carries_watermark_and_verdict(engine: Engine) -> None:
    with transaction(engine) as session:
        model_id = add_model(session, "m1").model_id
    for number, digest in enumerate(("1" * 64, "2" * 64)):
        run_id = claim(engine, "a", digest=digest)
        assert run_id is not None
        finish(engine, run_id, "a", model_id=model_id, now=NOW + timedelta(hours=number))
    claim(engine, "a")

    with snapshot(engine) as session:
        runs = training_runs.list_trainings(session)

    last = next(run for run in runs if run.label_set_sha256 == "2" * 64)
    assert (last.label_set_sha256, last.label_watermark, last.candidate_version) == ("2" * 64, 7, "m1")
    assert (last.state, last.verdict, last.reason) == (TrainingState.FINISHED, Verdict.REJECT, "worse")
    assert (last.flow_run_id, last.policy_sha256) == ("run 1", "e" * 64)
    assert len(runs) == 3


def test_without_a_training_none_is_listed(engine: Engine) -> None:
    with snapshot(engine) as session:
        assert training_runs.list_trainings(session) == []
