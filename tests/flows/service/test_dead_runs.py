"""Which runs died with their worker: ours, under way before its death, and without a process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.states import Pending, Running

from flows.service.dead_runs import find_dead
from flows.service.service import WORKER

DIED_AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BEFORE, AFTER = DIED_AT - timedelta(seconds=20), DIED_AT + timedelta(seconds=3)


def run(pid: str | None = "71", *, worker: str = WORKER, since: datetime = BEFORE, pending: bool = False) -> FlowRun:
    state = (Pending if pending else Running)(timestamp=since)  # type: ignore[operator]
    given: dict[str, Any] = {"labels": {"prefect.worker.name": worker}, "infrastructure_pid": pid}
    return FlowRun(id=uuid4(), flow_id=uuid4(), state=state, **given)


@pytest.mark.parametrize("pending", [False, True])
@pytest.mark.parametrize("pid", ["71", None])
def test_a_run_without_a_process_is_dead(pid: str | None, pending: bool) -> None:
    one = run(pid, pending=pending)

    assert find_dead([one], {72: str(uuid4())}, DIED_AT) == [one]


@pytest.mark.parametrize("pid", ["71", None])
def test_a_run_whose_process_outlived_the_worker_goes_on(pid: str | None) -> None:
    one = run(pid)

    assert find_dead([one], {71: str(one.id)}, DIED_AT) == []


def test_a_process_id_that_now_belongs_to_another_run_is_no_life() -> None:
    one = run("71")

    assert find_dead([one], {71: str(uuid4())}, DIED_AT) == [one]


def test_a_decoder_that_is_still_ending_is_no_life_either() -> None:
    one = run("71")

    assert find_dead([one], {72: str(one.id)}, DIED_AT) == [one]


def test_the_runs_of_others_and_those_of_the_next_worker_are_left_alone() -> None:
    others = [run(worker="a-worker-elsewhere"), run(since=AFTER), run(None, since=AFTER, pending=True)]

    assert find_dead(others, {}, DIED_AT) == []
