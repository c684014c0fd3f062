"""Which faults a run tries again after a pause: those that pass by themselves, and no others."""

from __future__ import annotations

import sqlite3
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import TaskRun
from prefect.states import Failed
from sqlalchemy.exc import OperationalError

from flows.deployments.retries import is_passing_fault
from flows.deployments.score_incoming import score_batch
from xray_core.errors import LowDisk, ModelAltered, NoChampion, SchemaOutOfDate


def database_error(words: str, *, disconnected: bool = False) -> OperationalError:
    return OperationalError("INSERT", {}, sqlite3.OperationalError(words), connection_invalidated=disconnected)


def is_tried_again(error: Exception) -> bool:
    run = TaskRun(task_key="score_batch", dynamic_key="0", flow_run_id=uuid4())
    return is_passing_fault(score_batch, run, Failed(data=error))


@pytest.mark.parametrize(
    "error",
    [database_error("database is locked"), database_error("gone", disconnected=True), OSError(5, "I/O error")],
    ids=["locked", "disconnected", "disk"],
)
def test_a_busy_database_and_a_disk_hiccup_are_tried_again(error: Exception) -> None:
    assert is_tried_again(error)


@pytest.mark.parametrize(
    "error",
    [
        database_error("database or disk is full"),
        database_error("no such table: results"),
        NoChampion("none"),
        ModelAltered("model.onnx"),
        SchemaOutOfDate("0000"),
        LowDisk("1 MiB"),
        ValueError("a mistake of ours"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_needs_a_person_or_a_programmer_is_not(error: Exception) -> None:
    assert not is_tried_again(error)


def test_the_scoring_task_asks_this_and_retries_twice() -> None:
    assert score_batch.retry_condition_fn is is_passing_fault
    assert score_batch.retries == 2
