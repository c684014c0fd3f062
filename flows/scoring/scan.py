"""One scoring pass over the incoming folder, without Prefect: list what is new, and score it batch by batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from db.engine import snapshot, transaction
from db.scoring import decisions, scans
from flows.home.site_key import fingerprint, read_site_key
from flows.home.termination import unbroken
from flows.scoring.counts import ScanCounts, find_problem, name_problem
from flows.scoring.scanner import Scanner, open_scanner
from flows.scoring.score_files import Batch, in_groups, score_files
from flows.scoring.scorer import read_champion
from flows.settings import Settings
from xray_core.errors import UnreadableXray
from xray_core.imaging.records import FileSeen
from xray_core.records import ReasonCode, Refusal, unescape_name

# Files of one Prefect task run: the server takes 13-20 task runs a second, so never one per X-ray.
FILES_PER_BATCH = 512


@contextmanager
def open_scan(settings: Settings, *, flow_run_id: str | None = None) -> Iterator[Scan]:
    """Open the ledger for one scan, record how the scan ended, and close everything after it, whatever happens.

    Raises SchemaOutOfDate before anything else, LowDisk before anything is written.
    """
    with open_scanner(settings, whole_listing=flow_run_id is None) as scanner:
        scan = Scan(scanner, flow_run_id)
        started_at = datetime.now(UTC)
        try:
            yield scan
        except BaseException as error:
            scan.record(started_at, problem=name_problem(error))
            raise
        scan.record(started_at, problem=find_problem(scan.counts))
        scanner.store.remember()


class Scan:
    """One pass: which files there are to score, and what has been decided about them."""

    def __init__(self, scanner: Scanner, flow_run_id: str | None) -> None:
        self.counts = ScanCounts()
        self._scanner = scanner
        self._store = scanner.store
        self.settings = scanner.settings
        self.engine = scanner.engine
        self._flow_run_id = flow_run_id
        self._model_id: int | None = None

    @property
    def folder_id(self) -> int:
        """The number under which the ledger knows the incoming folder."""
        return self._scanner.folder_id

    def find_batches(self) -> Iterator[Batch]:
        """List what is there and yield the files to score now; those too fresh come last, after the settle time.

        In the end what was scored, now or earlier, and is not in the archive yet goes there.
        Raises NoChampion when there is a file but nothing to score it with.
        """
        yield from self._find_new_batches()
        if self.settings.archive_dir is not None:
            from flows.scoring.archive import archive_staying

            self.counts.unarchived = archive_staying(self.settings, self.engine, self._store, self._scanner.folder_id)

    def _find_new_batches(self) -> Iterator[Batch]:
        is_folder = self._store.directory is not None
        if is_folder:
            self._close_vanished()  # whatever keeps the others from being scored
        walked_at = time.monotonic()
        fresh: list[FileSeen] = []
        yield from self._in_batches(self._find_settled(fresh))
        if not is_folder:
            self._close_vanished()
        if not fresh:
            return
        time.sleep(max(0.0, walked_at + self.settings.settle_seconds - time.monotonic()))
        watched = [(seen, self._store.look_up(seen.name)) for seen in fresh]
        yield from self._in_batches(seen for seen, now in watched if seen == now)
        self._defer_unsettled([now for seen, now in watched if now is not None and now != seen])

    def score(self, batch: Batch, *, on_progress: Callable[[int], None] = lambda _: None) -> None:
        """Score a batch in this process; see `score_files`."""
        score_files(batch, self._scanner, self.counts, on_progress=on_progress)

    def record(self, started_at: datetime, *, problem: str | None) -> None:
        """Write this scan's line for `xray status`."""
        with unbroken(), transaction(self.engine) as session:
            scans.record_scan(
                session,
                started_at=started_at,
                finished_at=datetime.now(UTC),
                scored=self.counts.scored + self.counts.known,
                rejected=self.counts.rejected.total(),
                deferred=self.counts.deferred.total(),
                problem=problem,
            )

    def _in_batches(self, files: Iterable[FileSeen]) -> Iterator[Batch]:
        for group in in_groups(files, FILES_PER_BATCH):
            if self._model_id is None:
                self._model_id = read_champion(self.engine)
            key = fingerprint(read_site_key(self.settings))
            yield Batch(tuple(group), self._model_id, self._flow_run_id, key, self.settings.batch_size)

    def _find_settled(self, fresh: list[FileSeen]) -> Iterator[FileSeen]:
        for seen in self._store.list(self.engine, self._scanner.folder_id):
            if self._store.is_settled(seen):
                yield seen
            else:
                fresh.append(seen)

    def _close_vanished(self) -> None:
        """Files that should have been looked at long ago and are not there any more are rejected as GONE.

        Of a bucket after the listing, which ends in NoBucket where there is none: each film would count as gone there.
        """
        before = datetime.now(UTC) - timedelta(hours=self.settings.defer_hours)
        with unbroken(), snapshot(self.engine) as session:
            overdue = decisions.find_overdue(session, folder_id=self._scanner.folder_id, before=before)
        gone = [file_id for file_id, name in overdue if self._is_gone(unescape_name(name))]
        if gone:
            with unbroken(), transaction(self.engine) as session:
                decisions.mark_gone(session, gone, now=datetime.now(UTC))
            self.counts.rejected[ReasonCode.GONE.value] += len(gone)

    def _is_gone(self, name: bytes) -> bool:
        try:
            return self._store.look_up(name) is None
        except UnreadableXray:
            return False  # nobody can tell

    def _defer_unsettled(self, files: list[FileSeen]) -> None:
        """Files that changed while they were watched are looked at by the very next scan."""
        still_changing = Refusal(ReasonCode.UNSETTLED, "still changing")
        for group in in_groups(files, FILES_PER_BATCH):
            self._scanner.claim(group, self.counts, refuse=lambda _: still_changing)
