"""SIGTERM as an end in good order: the batch at hand is abandoned, everything is closed, and it all has a bound."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

# What a shell reports of a process that SIGTERM ended.
STOPPED_EXIT_CODE = 128 + signal.SIGTERM
STOPPED_SENTENCE = "stopped; what was written is whole, the rest is done by the next scan"
# Service managers commonly wait ten seconds before they kill.
_BOUND_SECONDS = 8.0


class Stopped(BaseException):
    """SIGTERM has come. No Exception, so that nothing on its way out takes it for a fault to be mended."""


@contextmanager
def stopping_on_sigterm(*, bound_seconds: float = _BOUND_SECONDS) -> Iterator[None]:
    """Inside the block the first SIGTERM raises Stopped, and the process is gone `bound_seconds` later at the latest.

    Python tells the main thread of a signal only between two steps of its own. One that waits for a locked
    database, or for a large network's batch, hears of it too late: a thread then ends the process, which
    for the ledger is the same as a kill. Prefect's runs need none of this: Prefect raises by itself and
    its worker kills. Call it in the main thread.
    """
    ear, mouth = os.pipe()
    os.set_blocking(mouth, False)  # a signal handler may not wait
    left, came = threading.Event(), threading.Event()
    threading.Thread(target=_end_late, args=(ear, left, bound_seconds), daemon=True).start()

    def raise_once(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # who insists must not interrupt the tidying up
        came.set()
        raise Stopped

    handler = signal.signal(signal.SIGTERM, raise_once)
    descriptor = signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
    try:
        yield
    except BaseException:
        if came.is_set():
            raise Stopped from None  # a library that was interrupted has its own word for it: an ImportError, say
        raise
    finally:
        left.set()
        signal.set_wakeup_fd(descriptor)
        signal.signal(signal.SIGTERM, handler)
        os.close(mouth)


def find_stop(error: BaseException) -> BaseException | None:
    """The stop that an error is, or that stands behind it; None for a fault.

    A library that was interrupted may have turned the stop into an error of its own.
    """
    behind: BaseException | None = error
    while behind is not None and isinstance(behind, Exception):
        behind = behind.__cause__ or behind.__context__
    return behind


@contextmanager
def unbroken() -> Iterator[None]:
    """Put off a SIGTERM that comes inside the block until its end, whoever waits for it: we, Prefect or nobody.

    A database driver that is interrupted in the middle of a statement takes it for a lost connection: psycopg
    turned Stopped into an OperationalError, which looks as if a retry would help.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    came: list[int] = []
    handler = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        if came:
            signal.raise_signal(signal.SIGTERM)


def _end_late(ear: int, left: threading.Event, bound_seconds: float) -> None:
    """Wait for the first SIGTERM, then for the block to end; end of file means that none came."""
    with os.fdopen(ear, "rb", buffering=0) as signals:
        while heard := signals.read(1):
            if heard[0] == signal.SIGTERM and not left.wait(bound_seconds):
                os.write(2, f"xray: {STOPPED_SENTENCE}\n".encode())
                os._exit(STOPPED_EXIT_CODE)
