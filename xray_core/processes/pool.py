"""The pool of processes that decode: started with the first chunk, replaced when it breaks down."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

from pebble import CONSTS, ProcessExpired, ProcessPool

from xray_core.processes.decoder import Decoded, DecodeJob, DecodeRequest, Undecoded, confine_process, decode_chunk
from xray_core.processes.fork_server import DecoderContext, start_fork_server
from xray_core.records import ReasonCode, Refusal

_LOG = logging.getLogger(__name__)

# A process is replaced after this many chunks, so that no library's leak adds up.
_CHUNKS_PER_LIFE = 500

# Pebble looks around this often, seconds: its end waits for the next look, but each look costs the work a little.
CONSTS.sleep_unit = 0.05

Answer = Decoded | Undecoded


class DecoderPool:
    """The lifetime of some decoder processes."""

    def __init__(self, job: DecodeJob, *, workers: int, memory_bytes: int, niceness: int) -> None:
        self.job = job
        self.workers = workers
        self._confinement = (memory_bytes, niceness)
        self._pool: ProcessPool | None = None

    def schedule(self, requests: Sequence[DecodeRequest]) -> Future[list[Answer]]:
        """Give the processes one chunk. Raises BrokenProcessPool when they take no more work."""
        if self._pool is None:
            self._pool = start_pool(self.workers, self._confinement)
        try:
            # The limit is one file's for a whole chunk: what takes longer is tried again file by file.
            future: Future[list[Answer]] = self._pool.schedule(
                decode_chunk, args=(self.job, requests), timeout=self.job.timeout_seconds
            )
        except RuntimeError:
            raise BrokenProcessPool("the pool takes no more work") from None
        return future

    def is_standing(self) -> bool:
        """Whether what was scheduled can still be answered."""
        return self._pool is not None and self._pool.active

    def close(self) -> None:
        """Stop the processes, finished or not; the next chunk starts new ones."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.stop()
            pool.join()


def explain_failure(failure: BaseException, timeout_seconds: float) -> Refusal:
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


def start_pool(workers: int, confinement: tuple[int, int]) -> ProcessPool:
    """Processes that have given up all that decoding does not need: see `confine_process` for the two limits."""
    start_fork_server()
    return ProcessPool(
        max_workers=workers,
        max_tasks=_CHUNKS_PER_LIFE,
        initializer=confine_process,
        initargs=confinement,
        context=DecoderContext(),
    )
