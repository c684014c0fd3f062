"""Decoding in isolated processes: a file that crashes, hangs or blows up its decoder costs itself alone."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Generic, TypeVar

from xray_core.imaging.limits import ImageLimits
from xray_core.imaging.radiograph import read_radiograph
from xray_core.imaging.records import Preprocessing
from xray_core.processes.decoder import Decoded, DecodeJob, DecodeRequest, Reader, Undecoded
from xray_core.processes.pool import Answer, DecoderPool, explain_failure

__all__ = ["DecodeRequest", "Decoded", "Decoder", "Decoding", "Undecoded", "open_decoder"]

_LOG = logging.getLogger(__name__)

_LARGEST_CHUNK = 8
# What travels with a chunk, and what may wait, where the bytes themselves are handed over.
_LARGEST_CHUNK_BYTES = 8 * 2**20
_MOST_WAITING_BYTES = 64 * 2**20
# Enough for every worker to go on while the consumer scores a batch; results wait as small arrays.
_CHUNKS_PER_WORKER = 4
# A pool that breaks this often without a result in between will not mend.
_MOST_RESTARTS = 3

# So often a decoder that waits looks whether its pool still stands, seconds.
_LOOK_SECONDS = 1.0

# Beyond a chunk's own time limit: a pool that answers nothing for so long waits for a process that does not start.
_STALLED_SECONDS = 10.0

# Whatever the caller knows a file by: it comes back with the file's answer and never leaves this process.
Ticket = TypeVar("Ticket")


@contextmanager
def open_decoder(
    preprocessing: Preprocessing,
    *,
    directory: Path | None = None,
    workers: int,
    timeout_seconds: float = 20,
    memory_bytes: int = 1 << 30,
    read: Reader = read_radiograph,
    limits: ImageLimits = ImageLimits(),  # noqa: B008 (frozen)
    niceness: int = 0,
    chest_words: tuple[str, ...] = (),
) -> Iterator[Decoder]:
    """Open a decoder whose `workers` processes start with the first file and are gone at the end.

    Names of requests are relative to `directory` and cannot leave it; without one they are paths. `read` is
    what turns bytes into a Radiograph: a function of a module, for it is looked up by name in the processes.
    `chest_words` are a site's own names of the chest in DICOM tags.
    With a `niceness` (0 to 19) they leave the processor to the program that asked, while it has work of its own.
    """
    job = DecodeJob(preprocessing, directory, timeout_seconds, read, limits, chest_words)
    pool = DecoderPool(job, workers=workers, memory_bytes=memory_bytes, niceness=niceness)
    try:
        yield Decoder(pool)
    finally:
        pool.close()


class Decoder:
    """Files to grey levels, as long as its processes are open."""

    def __init__(self, pool: DecoderPool) -> None:
        self._pool = pool

    def decode(self, files: Iterable[tuple[Ticket, DecodeRequest]]) -> Iterator[tuple[Ticket, Decoded | Undecoded]]:
        """Decode files as they come, one answer each, in any order, with the ticket that came with the file.

        Takes no more files than the processes can have in hand and a few, so that memory stays flat. Who has
        something to do for the next files between two answers adds them to a Decoding instead.
        Raises BrokenProcessPool when no process will start.
        """
        coming = iter(files)
        decoding: Decoding[Ticket] = self.start()
        decoding.add(islice(coming, decoding.room))
        while answers := decoding.take():
            yield from answers
            decoding.add(islice(coming, decoding.room))

    def start(self) -> Decoding[Ticket]:
        """A decoding to which files are added and from which answers are taken, by turns."""
        return Decoding(self._pool)


@dataclass(frozen=True, slots=True)
class _Chunk(Generic[Ticket]):
    """Files that one process decodes in a row; `alone` is one that a failed chunk is blamed on if it fails again."""

    files: tuple[tuple[Ticket, DecodeRequest], ...]
    alone: bool = False


class Decoding(Generic[Ticket]):
    """Files on their way through a decoder's processes: those that wait, and those in the processes' hands.

    When a chunk fails as a whole its files are tried again one by one: only a file that fails again, alone, gets
    DECODER_CRASHED, DECODE_TIMEOUT or RESOURCE_LIMIT.
    """

    def __init__(self, pool: DecoderPool) -> None:
        self._pool = pool
        self._waiting: deque[tuple[Ticket, DecodeRequest]] = deque()
        self._waiting_bytes = 0
        self._once_more: deque[_Chunk[Ticket]] = deque()
        self._in_hand: dict[Future[list[Answer]], _Chunk[Ticket]] = {}
        self._chunks = 0
        self._restarts = 0

    @property
    def room(self) -> int:
        """How many more files may wait: so many are enough to see the end coming."""
        if self._waiting_bytes >= _MOST_WAITING_BYTES:
            return 0
        return max(0, 2 * self._pool.workers * _LARGEST_CHUNK - len(self._waiting))

    def add(self, files: Iterable[tuple[Ticket, DecodeRequest]]) -> None:
        """Let these files wait for their turn; of files that carry their bytes, no more than memory should hold."""
        for ticket, request in files:
            self._waiting.append((ticket, request))
            self._waiting_bytes += request.carried
            if self._waiting_bytes >= _MOST_WAITING_BYTES:
                return

    def take(self) -> list[tuple[Ticket, Answer]]:
        """The next answers, as soon as there are any; none once every file has its own.

        Raises BrokenProcessPool when no process will start.
        """
        answers: list[tuple[Ticket, Answer]] = []
        while not answers:
            try:
                self._fill()
                if not self._in_hand:
                    break
                for future in self._wait_for_any():
                    answers += self._collect(future)
                    self._restarts = 0
            except BrokenProcessPool:
                self._restarts += 1
                if self._restarts > _MOST_RESTARTS:
                    raise
                self._start_again()
        return answers

    def _fill(self) -> None:
        """Give the processes as much as they can have in hand; a chunk that did not reach them comes again."""
        while len(self._in_hand) < self._pool.workers * _CHUNKS_PER_WORKER:
            chunk = self._once_more.popleft() if self._once_more else self._next_chunk()
            if chunk is None:
                return
            try:
                future = self._pool.schedule([request for _, request in chunk.files])
            except BrokenProcessPool:
                self._once_more.append(chunk)
                raise
            self._in_hand[future] = chunk

    def _next_chunk(self) -> _Chunk[Ticket] | None:
        """Chunks grow from 1 to 8 files and shrink at the end: all processes start, and stop, at one time."""
        if not self._waiting:
            return None
        workers = self._pool.workers
        size = min(_LARGEST_CHUNK, 1 + self._chunks // workers, max(1, len(self._waiting) // (2 * workers)))
        self._chunks += 1
        files: list[tuple[Ticket, DecodeRequest]] = []
        carried = 0
        while self._waiting and len(files) < size and carried < _LARGEST_CHUNK_BYTES:
            files.append(self._waiting.popleft())
            carried += files[-1][1].carried
        self._waiting_bytes -= carried
        return _Chunk(tuple(files))

    def _wait_for_any(self) -> set[Future[list[Answer]]]:
        """The chunks that are done. A chunk's clock runs from when a process has it: where none gets ready, never."""
        stalled_at = monotonic() + self._pool.job.timeout_seconds + _STALLED_SECONDS
        while True:
            done = wait(self._in_hand, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED).done
            if done:
                return done
            if not self._pool.is_standing():
                raise BrokenProcessPool("the pool broke down and left a chunk behind")
            if monotonic() > stalled_at:
                raise BrokenProcessPool("the pool answers no more")

    def _collect(self, future: Future[list[Answer]]) -> list[tuple[Ticket, Answer]]:
        """The answers of a chunk; none, and its files to be tried alone, when it failed for the first time.

        One failure proves nothing: the system may have killed that process for its own reasons.
        """
        failure = future.exception()
        if isinstance(failure, BrokenProcessPool):
            raise failure
        chunk = self._in_hand.pop(future)
        tickets = [ticket for ticket, _ in chunk.files]
        if failure is None:
            return list(zip(tickets, future.result(), strict=True))
        if chunk.alone:
            return [(tickets[0], Undecoded(None, explain_failure(failure, self._pool.job.timeout_seconds)))]
        self._once_more.extend(_Chunk((file,), alone=True) for file in chunk.files)
        return []

    def _start_again(self) -> None:
        """Give up the pool; what was in its hands goes to the next one."""
        _LOG.warning("the decoder processes broke down; starting new ones")
        self._pool.close()
        self._once_more.extend(self._in_hand.values())
        self._in_hand.clear()
