"""Processes that are given calls and may be lost: one thread hands the calls out and hears what becomes of them.

No process shares a lock or a pipe with another: who dies, whenever that is, takes nothing of the others along. And
nobody looks around at intervals: the thread sleeps until an answer, a death, a call or a deadline wakes it.
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from time import monotonic
from typing import Any

from xray_core.processes.decoder import READY, serve_calls
from xray_core.processes.fork_server import DecoderContext
from xray_core.processes.records import CallFailed, ProcessLost

# One at work and one that waits in the process's own pipe, so that it goes on while we are slow to hear of it.
_CALLS_AHEAD = 2
# What fits into a pipe beside another one: a longer call goes to an idle process, which reads it at once.
_SHORT_BYTES = 16 * 1024
_PIPE_BYTES = 2**20


@dataclass(slots=True)
class _Call:
    """What is to be done, as bytes, and who waits for its result; in `seconds` at most, from when it begins."""

    work: bytes
    seconds: float
    result: Future[Any]


@dataclass(slots=True)
class _Worker:
    """A process, our ends of its two pipes, and the calls in its hands: the first one is at work, until `deadline`."""

    process: BaseProcess
    orders: Connection
    answers: Connection
    is_ready: bool = False
    given: int = 0
    calls: deque[_Call] = field(default_factory=deque)
    deadline: float = float("inf")


class WorkerPool:
    """The lifetime of `workers` processes; they start with the first call, each prepares itself by `prepare(*given)`.

    One that has had `calls_per_life` is replaced.
    """

    def __init__(
        self, workers: int, prepare: Callable[..., object], given: tuple[Any, ...], *, calls_per_life: int
    ) -> None:
        self._size = workers
        self._prepare = (prepare, given)
        self._calls_per_life = calls_per_life
        self._waiting: deque[_Call] = deque()
        self._workers: list[_Worker] = []
        self._ear, self._mouth = DecoderContext().Pipe(duplex=False)
        os.set_blocking(self._mouth.fileno(), False)
        self._is_ended = False
        self._changing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="decoders", daemon=True)
        self._thread.start()

    @property
    def is_standing(self) -> bool:
        """Whether what was scheduled can still be answered."""
        return not self._is_ended

    def schedule(self, call: Callable[..., Any], args: tuple[Any, ...], *, seconds: float) -> Future[Any]:
        """Have a module's function called; its result, or TimeoutError, ProcessLost, CallFailed or MemoryError.

        Raises BrokenProcessPool when the pool has ended; so does the result of a call that it ended with.
        """
        work = bytes(ForkingPickler.dumps((call, args)))
        result: Future[Any] = Future()
        with self._changing:
            if self._is_ended:
                raise BrokenProcessPool("the pool takes no more work")
            self._waiting.append(_Call(work, seconds, result))
        self._wake()
        return result

    def close(self) -> None:
        """Kill the processes, whatever they do; they are gone when this returns."""
        with self._changing:
            self._is_ended = True
        if self._thread.is_alive():
            self._wake()
        for worker in tuple(self._workers):  # the thread may be waiting for one that reads no more
            worker.process.kill()
        self._thread.join()

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # it has been told often enough
            os.write(self._mouth.fileno(), b"\0")

    def _run(self) -> None:
        try:
            with suppress(BrokenProcessPool):  # everybody who waits is told of it at the end
                while not self._is_ended:
                    self._start_missing()
                    self._hand_out()
                    self._listen()
        finally:
            self._end()

    def _end(self) -> None:
        with self._changing:
            self._is_ended = True
            left = [*self._waiting, *(call for worker in self._workers for call in worker.calls)]
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            _hang_up(worker)
        self._workers = []
        for call in left:
            call.result.set_exception(BrokenProcessPool("the pool has ended"))

    def _start_missing(self) -> None:
        """As many as have something to do: to start one costs as much as to decode some films."""
        while self._count_idle() < len(self._waiting) and len(self._workers) < self._size and not self._is_ended:
            orders, ours = DecoderContext().Pipe(duplex=False)
            answers, theirs = DecoderContext().Pipe(duplex=False)
            _widen(theirs)
            process = DecoderContext().Process(target=serve_calls, args=(orders, theirs, *self._prepare), daemon=True)
            try:
                process.start()
            except (OSError, EOFError) as error:
                raise BrokenProcessPool("no process will start") from error
            orders.close()
            theirs.close()
            self._workers.append(_Worker(process, ours, answers))

    def _count_idle(self) -> int:
        return sum(not worker.calls for worker in self._workers)

    def _hand_out(self) -> None:
        for ahead in range(_CALLS_AHEAD):
            if ahead and self._count_idle():  # who is about to be ready gets one before anybody gets a second
                return
            for worker in tuple(self._workers):
                if worker.is_ready and len(worker.calls) == ahead and worker.given < self._calls_per_life:
                    self._give(worker)

    def _give(self, worker: _Worker) -> None:
        if not self._waiting or (worker.calls and len(self._waiting[0].work) > _SHORT_BYTES):
            return
        call = self._waiting.popleft()
        worker.given += 1
        worker.calls.append(call)
        try:
            worker.orders.send_bytes(call.work)
        except OSError:  # it has died
            self._waiting.appendleft(worker.calls.pop())
            self._bury(worker)
            return
        if len(worker.calls) == 1:
            worker.deadline = monotonic() + call.seconds

    def _listen(self) -> None:
        """Sleep until there is something to do, and do what the processes have said; then stop who is too slow."""
        nearest = min((worker.deadline for worker in self._workers), default=float("inf"))
        patience = None if nearest == float("inf") else max(0.0, nearest - monotonic())
        heard = wait([self._ear, *(worker.answers for worker in self._workers)], patience)
        if self._ear in heard:
            os.read(self._ear.fileno(), 4096)
        for worker in tuple(self._workers):
            if worker.answers in heard:
                self._hear(worker)
            elif worker.deadline <= monotonic() and not worker.answers.poll():
                self._stop(worker)

    def _hear(self, worker: _Worker) -> None:
        try:
            said = worker.answers.recv_bytes()
        except (EOFError, OSError):
            self._bury(worker)
            return
        if not worker.is_ready:
            worker.is_ready = said == READY
            return
        call = worker.calls.popleft()
        worker.deadline = monotonic() + worker.calls[0].seconds if worker.calls else float("inf")
        _tell(call.result, said)
        if not worker.calls and worker.given >= self._calls_per_life:
            self._remove(worker)

    def _bury(self, worker: _Worker) -> None:
        """Of a process that died: the call at work failed, the next one goes to another, which is soon started."""
        worker.process.join()
        if not worker.is_ready:
            raise BrokenProcessPool("a process died before it was ready")
        guilty = worker.calls.popleft() if worker.calls else None
        self._remove(worker)
        if guilty is not None:
            guilty.result.set_exception(ProcessLost(worker.process.exitcode))

    def _stop(self, worker: _Worker) -> None:
        call = worker.calls.popleft()
        self._remove(worker)
        call.result.set_exception(TimeoutError(f"no answer within {call.seconds:g} s"))

    def _remove(self, worker: _Worker) -> None:
        worker.process.kill()
        worker.process.join()
        _hang_up(worker)
        self._workers.remove(worker)
        self._waiting.extendleft(reversed(worker.calls))


def _tell(result: Future[Any], said: bytes) -> None:
    is_whole, answer = ForkingPickler.loads(said)
    if is_whole:
        result.set_result(answer)
    else:
        result.set_exception(MemoryError() if answer == MemoryError.__name__ else CallFailed(answer))


def _hang_up(worker: _Worker) -> None:
    worker.orders.close()
    worker.answers.close()


def _widen(pipe: Connection) -> None:
    """Let an answer of many films fit in whole, so that a process goes on while we are slow to read."""
    if sys.platform == "linux":
        with suppress(OSError):  # a user may have too many pipes for that
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
