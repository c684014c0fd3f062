"""Batches scored by a team's own Dask workers: sent as names and numbers, counted from what the ledger says afterwards.

Neither films, pixels nor passwords travel: every worker reads its own environment and opens the films itself.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from db.engine import snapshot
from db.scoring import decided
from flows.home.termination import unbroken
from flows.scoring.scan import Scan
from flows.scoring.score_files import Batch, score_files
from xray_core.errors import PersonNeeded, RefusedInput
from xray_core.records import plural

if TYPE_CHECKING:
    from distributed import Client, Future

_CONNECT_SECONDS = 10
_ANSWER_SECONDS = 60
# A run that makes no progress for this long and a lease ends: its workers are gone, or none can do the work.
_PATIENCE_SECONDS = 600
_ROUNDS = 3

# A scanner belongs to one batch at a time, whatever the worker's threads.
_one_at_a_time = threading.Lock()


def score_on_dask(scan: Scan, *, on_progress: Callable[[int], None] = lambda _: None) -> None:
    """Have every batch of a scan scored by the workers of XRAY_TASK_RUNNER's scheduler; `scan.counts` tells the rest.

    A batch whose worker died is done by another one; what the dead had claimed is sent again once its lease has
    ended. Raises RefusedInput for an address that is no address, PersonNeeded where nobody answers there, a worker
    cannot do the work, nothing goes on, or films are left that nobody decided on: a listing of a large bucket must
    not move past them.
    """
    started, left = datetime.now(UTC), []
    with _connect(scan.settings.task_runner) as client:
        sending = _Sending(client, patience=_PATIENCE_SECONDS + scan.settings.lease_seconds)
        for batch in sending.send(scan.find_batches()):
            left += _count(scan, batch, started, on_progress)
        for _ in range(_ROUNDS):
            if not left:
                return
            time.sleep(scan.settings.lease_seconds)
            again, left = left, []
            for batch in sending.send(iter(again)):
                left += _count(scan, batch, started, on_progress)
    if left:
        raise PersonNeeded(
            f"{plural(sum(len(batch.files) for batch in left), 'film')} could not be decided on, though sent to the "
            f"workers {_ROUNDS + 1} times: do their logs tell why they die, or does another scan hold the films? The "
            "next scan sends them again",
            public=True,
        )


def score_there(batch: Batch) -> None:
    """A worker's task: claim, decode, score and record the files of a batch. Raises PersonNeeded under a nanny."""
    if multiprocessing.current_process().daemon:
        raise PersonNeeded(
            "this Dask worker runs under a nanny, whose children may start no decoders: start it with "
            "`dask worker --no-nanny`, or with DASK_DISTRIBUTED__WORKER__DAEMON=False in its environment",
            public=True,
        )
    with _one_at_a_time:
        score_files(batch)


class _Sending:
    """Two batches a worker are on their way; each comes back when it is done, and is forgotten then."""

    def __init__(self, client: Client, *, patience: float) -> None:
        self._client = client
        self._patience = patience

    def send(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield every batch when a worker is done with it, whatever came of its files."""
        under_way: dict[Future, Batch] = {}
        for batch in batches:
            under_way[self._client.submit(score_there, batch, pure=False)] = batch
            if len(under_way) >= 2 * max(1, self._count_workers()):
                yield self._wait_for_one(under_way)
        while under_way:
            yield self._wait_for_one(under_way)

    def _count_workers(self) -> int:
        """Asked with a limit: Dask's own question waits for ever for a scheduler that is gone."""
        try:
            return len(self._client.sync(self._client.scheduler.ncores, callback_timeout=_ANSWER_SECONDS))
        except (OSError, TimeoutError) as error:
            raise _scheduler_is_gone() from error

    def _wait_for_one(self, under_way: dict[Future, Batch]) -> Batch:
        from distributed import CancelledError, KilledWorker, wait

        try:
            done = wait(list(under_way), timeout=self._patience, return_when="FIRST_COMPLETED").done
            future = next(iter(done))
            future.result()
        except TimeoutError as error:
            raise PersonNeeded(
                f"no Dask worker finished a batch for {self._patience:.0f} s: are there workers, is xray-scoring "
                "installed where they run, and do they reach the films and the database? What was scored is in the "
                "ledger, the next scan does the rest",
                public=True,
            ) from error
        except KilledWorker:  # it took several workers with it; its files are counted as left, and sent again
            pass
        except (CancelledError, OSError) as error:
            raise _scheduler_is_gone() from error
        except ImportError as error:
            raise PersonNeeded(
                f"a Dask worker cannot import this service ({error}): install xray-scoring where it runs",
                public=True,
            ) from error
        return under_way.pop(future)


def _scheduler_is_gone() -> PersonNeeded:
    return PersonNeeded(
        "the Dask scheduler went away: start it and its workers again; what was scored is in the ledger, the next scan "
        "does the rest",
        public=True,
    )


@contextmanager
def _connect(task_runner: str) -> Iterator[Client]:
    try:
        from distributed import Client
    except ImportError as error:
        raise RefusedInput(
            f"XRAY_TASK_RUNNER: received {task_runner}, and Dask is not installed: pip install 'xray-scoring[dask]'"
        ) from error
    scheme, _, place = task_runner.partition("://")
    address = f"{'tls' if scheme == 'dask+tls' else 'tcp'}://{place}"
    try:
        client = Client(address, timeout=_CONNECT_SECONDS)
    except (
        OSError,
        TimeoutError,
        TypeError,
    ) as error:  # TLS without certificates in Dask's own settings is a TypeError
        raise PersonNeeded(
            f"no Dask scheduler answers at {task_runner} ({type(error).__name__}): start it (`dask scheduler`), or "
            "take XRAY_TASK_RUNNER away to score in this process"
        ) from error
    with client:
        yield client


def _count(scan: Scan, batch: Batch, started: datetime, on_progress: Callable[[int], None]) -> list[Batch]:
    """Add what the ledger says of a batch's files to the counts; what nobody has decided comes back as a batch."""
    names = [seen.name for seen in batch.files]
    with unbroken(), snapshot(scan.engine) as session:
        fates = decided.read_fates(session, scan.folder_id, names, model_id=batch.model_id)
    undecided = tuple(seen for seen in batch.files if not scan.counts.add_fate(fates.get(seen.name), started))
    on_progress(len(batch.files) - len(undecided))
    return [replace(batch, files=undecided)] if undecided else []
