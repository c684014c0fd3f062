"""A process beside this one, for what needs no network: it takes what processor time a fit leaves over."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from pebble import ProcessExpired, ProcessPool

from xray_core.processes.fork_server import DecoderContext
from xray_core.processes.resources import call_on_one_thread

_LOG = logging.getLogger(__name__)
_NICE = 10  # a fit keeps its threads waiting for one another: it must not lose its turn
T = TypeVar("T")

Call = Callable[[], T]  # a functools.partial of a module's function: it is found by name in the process


@dataclass(frozen=True, slots=True)
class BackgroundCall(Generic[T]):
    """A call that was given to the helper process."""

    call: Call[T]
    done: Future[T]

    def result(self) -> T:
        """What the call gives, or raises. Where the process has not come to it yet, or died at it, it is made here.

        So nobody waits idly, or for ever, and nothing is done twice. Of several calls ask for the last one first: the
        process is busy with the first ones.
        """
        if not (self.done.running() or self.done.done()) or self.done.cancelled():
            self.done.cancel()
            return self.call()
        try:
            return self.done.result()
        except ProcessExpired:
            _LOG.warning("the process beside the training died; its work is done once more, here")
            return self.call()


class HelperProcess:
    """The lifetime of the process: calls are made one after another, in the order in which they were given."""

    def __init__(self, pool: ProcessPool) -> None:
        self._pool = pool

    def begin(self, call: Call[T]) -> BackgroundCall[T]:
        """Give the process a call, and do not wait; its linear algebra gets one thread: the fit needs the others."""
        return BackgroundCall(call, self._pool.schedule(partial(call_on_one_thread, call)))


@contextmanager
def open_helper_process() -> Iterator[HelperProcess]:
    """The process starts with the first call and is gone at the end of the block, whatever it was doing."""
    pool = ProcessPool(max_workers=1, initializer=os.nice, initargs=[_NICE], context=DecoderContext())
    try:
        yield HelperProcess(pool)
    finally:
        pool.stop()
        pool.join()
