"""What a process takes of the machine: memory that it keeps when it has freed it, and threads for small sums."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

# Of malloc.h, the same in every glibc.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_MIB = 2**20

T = TypeVar("T")


def keep_freed_memory() -> None:
    """Let this process keep what it frees, up to 1 GiB: for one that allocates the same megabytes again and again.

    Otherwise every use of them begins with page faults: the export of a twin then takes 1.3 s instead of 0.6 s. Does
    nothing where the C library is not glibc.
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library is not None and hasattr(library, "mallopt"):
        library.mallopt(_MMAP_THRESHOLD, 32 * _MIB)  # the most that it takes
        library.mallopt(_TRIM_THRESHOLD, 1024 * _MIB)
        library.mallopt(_TOP_PAD, 64 * _MIB)


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
