"""Which faults pass by themselves, so that trying again makes sense."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from flows.home.public_errors import passes_by_itself


def is_passing_fault(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether what a task ended with passes by itself."""
    return passes_by_itself(state.result(raise_on_failure=False))
