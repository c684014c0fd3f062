"""How many threads small sums are given: one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

T = TypeVar("T")


def one_thread() -> AbstractContextManager[object]:
    """Let the linear algebra that is loaded by now (never TensorFlow's, nor ONNX Runtime's) use one thread in a block.

    Where the sums are small, threads that wait for each other took seven to ten times the processor time, and where
    others want the cores as much of the clock.
    """
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


def call_on_one_thread(call: Callable[[], T]) -> T:
    """What the call gives, or raises."""
    with one_thread():
        return call()
