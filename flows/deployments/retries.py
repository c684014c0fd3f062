"""Which faults pass by themselves, so that trying again makes sense."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task
from sqlalchemy.exc import OperationalError


def is_passing_fault(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """A busy database or a disk hiccup may pass; a missing champion or an altered model never does."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, OperationalError):
        return "database is locked" in str(error) or error.connection_invalidated
    return isinstance(error, OSError)
