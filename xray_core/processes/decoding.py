"""Decoding in isolated processes: a file that crashes, hangs or blows up its decoder costs itself alone."""

from __future__ import annotations

import logging
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from time import monotonic

from pebble import CONSTS, ProcessExpired, ProcessPool

from xray_core.imaging.limits import ImageLimits
from xray_core.imaging.radiograph import read_radiograph
from xray_core.imaging.records import Preprocessing
from xray_core.processes.decoder import (
    Decoded,
    DecodeJob,
    DecodeRequest,
    Reader,
    Undecoded,
    confine_process,
    decode_chunk,
)
from xray_core.processes.fork_server import DecoderContext, start_fork_server
from xray_core.records import ReasonCode, Refusal

__all__ = ["DecodeRequest", "Decoded", "Decoder", "Undecoded", "open_decoder"]

_LOG = logging.getLogger(__name__)

_LARGEST_CHUNK = 8
# Enough for every worker to go on while the consumer scores a batch; results wait as small arrays.
_CHUNKS_PER_WORKER = 4
# A process is replaced after this many chunks, so that no library's leak adds up.
_CHUNKS_PER_LIFE = 500
# A pool that breaks this often without a result in between will not mend.
_MOST_RESTARTS = 3

# So often a decoder that waits looks whether its pool still stands, seconds.
_LOOK_SECONDS = 1.0

# Beyond a chunk's own time limit: a pool that answers nothing for so long has lost its lock to a killed process.
_STALLED_SECONDS = 10.0

# Pebble looks around this often, seconds: its end waits for the next look, but each look costs the work a little.
CONSTS.sleep_unit = 0.05

_Chunk = tuple[DecodeRequest, ...]
_Answer = list[Decoded | Undecoded]


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
    """Open a decoder whose `workers` processes start with the first request and are gone at the end.

    Names of requests are relative to `directory` and cannot leave it; without one they are paths. `read` is
    what turns bytes into a Radiograph: a function of a module, for it is looked up by name in the processes.
    `chest_words` are a site's own names of the chest in DICOM tags.
    With a `niceness` (0 to 19) they leave the processor to the program that asked, while it has work of its own.
    """
    job = DecodeJob(preprocessing, directory, timeout_seconds, read, limits, chest_words)
    decoder = Decoder(job, workers=workers, memory_bytes=memory_bytes, niceness=niceness)
    try:
        yield decoder
    finally:
        decoder.close()


class Decoder:
    """The lifetime of a pool of decoder processes."""

    def __init__(self, job: DecodeJob, *, workers: int, memory_bytes: int, niceness: int) -> None:
        self._job = job
        self._workers = workers
        self._confinement = (memory_bytes, niceness)
        self._pool: ProcessPool | None = None

    def decode(self, requests: Iterable[DecodeRequest]) -> Iterator[Decoded | Undecoded]:
        """Decode files as their requests come, one answer each, in any order.

        Takes no more requests than the processes can have in hand, so that memory stays flat. When a chunk
        fails as a whole its files are tried again one by one: only a file that fails again, alone, gets
        DECODER_CRASHED, DECODE_TIMEOUT or RESOURCE_LIMIT. Keys must differ.
        Raises BrokenProcessPool when no process will start.
        """
        chunks = _split(iter(requests), self._workers)
        once_more: deque[_Chunk] = deque()
        suspects: set[int] = set()
        in_hand: dict[Future[_Answer], _Chunk] = {}
        restarts = 0
        while True:
            try:
                self._fill(in_hand, once_more, chunks)
                if not in_hand:
                    return
                for future in self._wait_for_any(in_hand):
                    answers = self._collect(future, in_hand[future], once_more, suspects)
                    del in_hand[future]
                    restarts = 0
                    yield from answers
            except BrokenProcessPool:
                restarts += 1
                if restarts > _MOST_RESTARTS:
                    raise
                _LOG.warning("the decoder processes broke down; starting new ones")
                self.close()
                once_more.extend(in_hand.values())
                in_hand.clear()

    def close(self) -> None:
        """Stop the processes, finished or not; the next request starts new ones."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.stop()
            pool.join()

    def _fill(self, in_hand: dict[Future[_Answer], _Chunk], once_more: deque[_Chunk], chunks: Iterator[_Chunk]) -> None:
        """Give the processes as much as they can have in hand; a chunk that did not reach them comes again."""
        while len(in_hand) < self._workers * _CHUNKS_PER_WORKER:
            chunk = once_more.popleft() if once_more else next(chunks, None)
            if chunk is None:
                return
            if self._pool is None:
                self._pool = _start_pool(self._workers, self._confinement)
            try:
                # The limit is one file's for a whole chunk: what takes longer is tried again file by file.
                future = self._pool.schedule(decode_chunk, args=(self._job, chunk), timeout=self._job.timeout_seconds)
            except RuntimeError:
                once_more.append(chunk)
                raise BrokenProcessPool("the pool takes no more work") from None
            in_hand[future] = chunk

    def _wait_for_any(self, in_hand: dict[Future[_Answer], _Chunk]) -> set[Future[_Answer]]:
        """The chunks that are done. One that was given to a pool while it broke down would never be.

        Nor would one that nobody can fetch: a process that is killed in the instant in which it fetches its work
        takes pebble's lock with it, and a chunk's clock runs only from when it is fetched.
        """
        stalled_at = monotonic() + self._job.timeout_seconds + _STALLED_SECONDS
        while True:
            done = wait(in_hand, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED).done
            if done:
                return done
            if self._pool is None or not self._pool.active:
                raise BrokenProcessPool("the pool broke down and left a chunk behind")
            if monotonic() > stalled_at:
                raise BrokenProcessPool("the pool answers no more")

    def _collect(self, future: Future[_Answer], chunk: _Chunk, once_more: deque[_Chunk], suspects: set[int]) -> _Answer:
        """The answers of a chunk; none, and its files to be tried alone, when it failed for the first time.

        One failure proves nothing: the system may have killed that process for its own reasons.
        """
        failure = future.exception()
        if failure is None:
            return future.result()
        if isinstance(failure, BrokenProcessPool):
            raise failure
        if chunk[0].key in suspects:
            return [Undecoded(chunk[0].key, None, _explain(failure, self._job.timeout_seconds))]
        suspects.update(request.key for request in chunk)
        once_more.extend((request,) for request in chunk)
        return []


def _split(requests: Iterator[DecodeRequest], workers: int) -> Iterator[_Chunk]:
    """Chunks that grow from 1 to 8 files and shrink at the end: all processes start, and stop, at one time.

    A few requests are taken ahead, so that the end is seen coming.
    """
    shares = 2 * workers
    ahead = deque(islice(requests, shares * _LARGEST_CHUNK))
    for number in count():
        if not ahead:
            return
        size = min(_LARGEST_CHUNK, 1 + number // workers, max(1, len(ahead) // shares))
        yield tuple(ahead.popleft() for _ in range(size))
        ahead.extend(islice(requests, size))


def _explain(failure: BaseException, timeout_seconds: float) -> Refusal:
    """Why the one file that a process worked on alone got no answer."""
    if isinstance(failure, TimeoutError):
        return Refusal(ReasonCode.DECODE_TIMEOUT, f"no answer within {timeout_seconds:g} s")
    if isinstance(failure, MemoryError):
        return Refusal(ReasonCode.RESOURCE_LIMIT, "needs more memory than allowed")
    if not isinstance(failure, ProcessExpired):
        # A gap in what we know of a library's errors. Its type only: its words can quote the file.
        _LOG.error("a decoder raised %s, which nothing here expects", type(failure).__name__)
        return Refusal(ReasonCode.DECODER_CRASHED, f"the decoder raised {type(failure).__name__}")
    if failure.exitcode == -signal.SIGXCPU:
        return Refusal(ReasonCode.DECODE_TIMEOUT, "used up its processor time")
    return Refusal(ReasonCode.DECODER_CRASHED, f"the decoder died with exit code {failure.exitcode}")


def _start_pool(workers: int, confinement: tuple[int, int]) -> ProcessPool:
    start_fork_server()
    return ProcessPool(
        max_workers=workers,
        max_tasks=_CHUNKS_PER_LIFE,
        initializer=confine_process,
        initargs=confinement,
        context=DecoderContext(),
    )
