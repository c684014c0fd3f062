"""The pool of processes that decode: started with the first chunk, replaced when it breaks down."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from concurrent.futures import Future

from xray_core.processes.decoder import Decoded, DecodeJob, DecodeRequest, Undecoded, confine_process, decode_chunk
from xray_core.processes.fork_server import start_fork_server
from xray_core.processes.records import CallFailed, ProcessLost
from xray_core.processes.worker_pool import WorkerPool
from xray_core.records import ReasonCode, Refusal

_LOG = logging.getLogger(__name__)

# A process is replaced after this many chunks, so that no library's leak adds up.
_CHUNKS_PER_LIFE = 500

Answer = Decoded | Undecoded


class DecoderPool:
    """The lifetime of some decoder processes."""

    def __init__(self, job: DecodeJob, *, workers: int, memory_bytes: int, niceness: int) -> None:
        self.job = job
        self.workers = workers
        self._confinement = (memory_bytes, niceness)
        self._pool: WorkerPool | None = None

    def schedule(self, requests: Sequence[DecodeRequest]) -> Future[list[Answer]]:
        """Give the processes one chunk. Raises BrokenProcessPool when they take no more work."""
        if self._pool is None:
            self._pool = start_pool(self.workers, self._confinement)
        # The limit is one file's for a whole chunk: what takes longer is tried again file by file.
        return self._pool.schedule(decode_chunk, (self.job, requests), seconds=self.job.timeout_seconds)

    def is_standing(self) -> bool:
        """Whether what was scheduled can still be answered."""
        return self._pool is not None and self._pool.is_standing

    def close(self) -> None:
        """Stop the processes, finished or not; the next chunk starts new ones."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.close()


def explain_failure(failure: BaseException, timeout_seconds: float) -> Refusal:
    """Why the one file that a process worked on alone got no answer."""
    if isinstance(failure, TimeoutError):
        return Refusal(ReasonCode.DECODE_TIMEOUT, f"no answer within {timeout_seconds:g} s")
    if isinstance(failure, MemoryError):
        return Refusal(ReasonCode.RESOURCE_LIMIT, "needs more memory than allowed")
    if isinstance(failure, CallFailed):
        # A gap in what we know of a library's errors.
        _LOG.error("a decoder raised %s, which nothing here expects", failure.error)
        return Refusal(ReasonCode.DECODER_CRASHED, f"the decoder raised {failure.error}")
    exitcode = failure.exitcode if isinstance(failure, ProcessLost) else None
    if exitcode == -signal.SIGXCPU:
        return Refusal(ReasonCode.DECODE_TIMEOUT, "used up its processor time")
    return Refusal(ReasonCode.DECODER_CRASHED, f"the decoder died with exit code {exitcode}")


def start_pool(workers: int, confinement: tuple[int, int]) -> WorkerPool:
    """Processes that have given up all that decoding does not need: see `confine_process` for the two limits."""
    start_fork_server()
    return WorkerPool(workers, confine_process, confinement, calls_per_life=_CHUNKS_PER_LIFE)
