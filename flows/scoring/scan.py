"""One scoring pass over the incoming folder, without Prefect: gather, decide, apply, batch by batch."""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Engine

from db.engine import snapshot, transaction
from db.records import ClaimedFile, RefusedFile, ScoredFile
from db.scoring import claims, decisions, scans
from flows.home.folders import check_free_space
from flows.home.ledger import open_ledger, record_folder
from flows.home.process_lock import hold_scanner_lock, is_scanner_alive
from flows.home.termination import unbroken
from flows.scoring.archive import archive_files
from flows.scoring.counts import ScanCounts, find_problem, name_problem
from flows.scoring.scorer import Tools, open_tools
from flows.settings import Settings
from xray_core.imaging.folder import find_files, is_settled, look_again, plan_retry, refuse_by_kind, sign_file
from xray_core.imaging.records import FileSeen
from xray_core.records import FolderKind, ReasonCode, Refusal, unescape_name

if TYPE_CHECKING:
    from xray_core.models.scoring import Scored
    from xray_core.processes.decoding import DecodeRequest, Undecoded


# Files of one Prefect task run: the server takes 13-20 task runs a second, so never one per X-ray.
FILES_PER_BATCH = 512


# Claimed together: few enough that two scanners share a folder fairly.
_CLAIM_SIZE = 64


_Item = TypeVar("_Item")


@contextmanager
def open_scan(settings: Settings, *, flow_run_id: str | None = None) -> Iterator[Scan]:
    """Open the ledger for one scan and close everything after it, whatever happens.

    Raises SchemaOutOfDate before anything else, LowDisk before anything is written. The classifier and the
    decoders start with the first file: a scan that finds nothing pays for neither.
    """
    with ExitStack() as stack:
        with unbroken():
            engine = stack.enter_context(open_ledger(settings))
        check_free_space(settings)
        scanner = stack.enter_context(hold_scanner_lock(settings.home / "run"))
        with unbroken():
            folder_id = record_folder(settings, engine, FolderKind.INCOMING)
        scan = Scan(settings, engine, folder_id, scanner, flow_run_id=flow_run_id, stack=stack)
        started_at = datetime.now(UTC)
        try:
            yield scan
        except BaseException as error:
            scan.record(started_at, problem=name_problem(error))
            raise
        scan.record(started_at, problem=find_problem(scan.counts))


class Scan:
    """The lifetime of one scan: an engine, a claim name, and (from the first file on) a classifier and decoders."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        folder_id: int,
        scanner: str,
        *,
        flow_run_id: str | None,
        stack: ExitStack,
    ) -> None:
        self.counts = ScanCounts()
        self._settings = settings
        self._engine = engine
        self._folder_id = folder_id
        self._scanner = scanner
        self._flow_run_id = flow_run_id
        self._stack = stack
        self._tools: Tools | None = None

    def find_batches(self) -> Iterator[list[FileSeen]]:
        """Walk the folder and yield the files to score now; those too fresh come last, after the settle time."""
        self._close_vanished()
        walked_at = time.monotonic()
        fresh: list[FileSeen] = []
        yield from _batched(self._find_settled(fresh), FILES_PER_BATCH)
        if not fresh:
            return
        time.sleep(max(0.0, walked_at + self._settings.settle_seconds - time.monotonic()))
        watched = [(seen, look_again(self._settings.incoming_dir, seen)) for seen in fresh]
        yield from _batched((seen for seen, now in watched if seen == now), FILES_PER_BATCH)
        self._defer_unsettled([now for seen, now in watched if now is not None and now != seen])

    def score(self, files: list[FileSeen], *, on_progress: Callable[[int], None] = lambda _: None) -> None:
        """Claim, decode, score and record these files; one transaction per `batch_size` of them.

        Raises NoChampion, IncompatibleModel or ModelAltered before the first file is claimed.
        """
        from xray_core.processes.fork_server import start_fork_server

        start_fork_server()  # it imports on one core while we import and load the model on another
        from xray_core.models.scoring import score_batches

        tools = self._open_tools()
        held: dict[int, ClaimedFile] = {}
        batches = score_batches(
            tools.decoder.decode(self._claim_requests(files, held)),
            tools.opened.classifier,
            batch_size=self._settings.batch_size,
            find_scored=tools.find_scored,
            reference=tools.opened.reference,
        )
        for batch in batches:
            self._commit(batch, held, tools)
            on_progress(len(batch))

    def record(self, started_at: datetime, *, problem: str | None) -> None:
        """Write this scan's line for `xray status`."""
        with unbroken(), transaction(self._engine) as session:
            scans.record_scan(
                session,
                started_at=started_at,
                finished_at=datetime.now(UTC),
                scored=self.counts.scored + self.counts.known,
                rejected=self.counts.rejected.total(),
                deferred=self.counts.deferred.total(),
                problem=problem,
            )

    def _find_settled(self, fresh: list[FileSeen]) -> Iterator[FileSeen]:
        for seen in find_files(self._settings.incoming_dir, self._folder_id, self._read_known()):
            if is_settled(seen, now_ns=time.time_ns(), settle_seconds=self._settings.settle_seconds):
                yield seen
            else:
                fresh.append(seen)

    def _read_known(self) -> array[int]:
        with unbroken(), snapshot(self._engine) as session:
            return claims.decided_signatures(session, datetime.now(UTC))

    def _claim(self, files: list[FileSeen]) -> list[ClaimedFile]:
        signed = [
            (seen, sign_file(self._folder_id, seen.name, seen.size, seen.mtime_ns, seen.ctime_ns)) for seen in files
        ]
        with unbroken(), transaction(self._engine) as session:
            return claims.claim_files(
                session,
                signed,
                folder_id=self._folder_id,
                scanner=self._scanner,
                now=datetime.now(UTC),
                lease_seconds=self._settings.lease_seconds,
                is_alive=lambda scanner: is_scanner_alive(self._settings.home / "run", scanner),
            )

    def _claim_requests(self, files: list[FileSeen], held: dict[int, ClaimedFile]) -> Iterator[DecodeRequest]:
        """Claim as the decoders ask for work; what is no regular file is refused without being opened."""
        for group in _batched(files, _CLAIM_SIZE):
            irregular: list[tuple[ClaimedFile, Refusal]] = []
            for claimed in self._claim(group):
                if refusal := refuse_by_kind(claimed.seen):
                    irregular.append((claimed, refusal))
                    continue
                held[claimed.file_id] = claimed
                yield _to_request(claimed)
            self._save([], [self._refuse(claimed, None, refusal) for claimed, refusal in irregular], None)

    def _close_vanished(self) -> None:
        """Files that should have been looked at long ago and are not there any more are rejected as GONE."""
        before = datetime.now(UTC) - timedelta(hours=self._settings.defer_hours)
        with unbroken(), snapshot(self._engine) as session:
            overdue = decisions.find_overdue(session, folder_id=self._folder_id, before=before)
        gone = [file_id for file_id, name in overdue if not os.path.lexists(self._path_of(name))]
        if gone:
            with unbroken(), transaction(self._engine) as session:
                decisions.mark_gone(session, gone, now=datetime.now(UTC))
            self.counts.rejected[ReasonCode.GONE.value] += len(gone)

    def _path_of(self, name: str) -> bytes:
        return os.path.join(os.fsencode(self._settings.incoming_dir), unescape_name(name))

    def _defer_unsettled(self, files: list[FileSeen]) -> None:
        refusal = Refusal(ReasonCode.UNSETTLED, "still changing")
        for group in _batched(files, _CLAIM_SIZE):
            self._save([], [self._refuse(claimed, None, refusal) for claimed in self._claim(group)], None)

    def _open_tools(self) -> Tools:
        if self._tools is None:
            self._tools = self._stack.enter_context(open_tools(self._settings, self._engine, self._flow_run_id))
        return self._tools

    def _commit(self, batch: list[Scored | Undecoded], held: dict[int, ClaimedFile], tools: Tools) -> None:
        from xray_core.models.scoring import Scored

        scored: list[ScoredFile] = []
        refused: list[RefusedFile] = []
        for item in batch:
            if isinstance(item, Scored):
                scored.append(tools.judge(item))
            else:
                refused.append(self._refuse(held[item.key], item.sha256, item.refusal))
        self._save(scored, refused, tools)
        if tools.shadow is not None:
            fresh = [item.decoded for item in batch if isinstance(item, Scored) and item.probability is not None]
            tools.shadow.score([(decoded, _to_request(held[decoded.key])) for decoded in fresh])
        if self._settings.archive_dir is not None:
            with unbroken():
                archive_files(
                    self._settings, self._engine, [(held[file.read.file_id].seen, file.read) for file in scored]
                )
        for item in batch:
            del held[item.decoded.key if isinstance(item, Scored) else item.key]

    def _refuse(self, claimed: ClaimedFile, sha256: str | None, refusal: Refusal) -> RefusedFile:
        retry_at = plan_retry(
            refusal,
            deferred_since=claimed.deferred_since,
            tries=claimed.tries,
            now=datetime.now(UTC),
            defer_hours=self._settings.defer_hours,
        )
        return RefusedFile(claimed.file_id, sha256, refusal, retry_at)

    def _save(self, scored: list[ScoredFile], refused: list[RefusedFile], tools: Tools | None) -> None:
        """The one transaction of a batch, and the counts of what it wrote."""
        if not scored and not refused:
            return
        with unbroken():  # what is committed is also counted
            with transaction(self._engine) as session:
                decisions.record_batch(
                    session,
                    scored=scored,
                    refused=refused,
                    scanner=self._scanner,
                    model_id=tools.model_id if tools else None,
                    preprocessing_version=tools.opened.manifest.preprocessing.version if tools else None,
                    folder_id=self._folder_id,
                    flow_run_id=self._flow_run_id,
                    now=datetime.now(UTC),
                )
            self.counts.outcomes.update(file.outcome.value for file in scored if file.outcome)
            self.counts.known += sum(file.outcome is None for file in scored)
            self.counts.rejected.update(file.refusal.reason.value for file in refused if file.retry_at is None)
            self.counts.deferred.update(file.refusal.reason.value for file in refused if file.retry_at is not None)


def _to_request(claimed: ClaimedFile) -> DecodeRequest:
    from xray_core.processes.decoding import DecodeRequest

    return DecodeRequest(claimed.file_id, claimed.seen.name, claimed.seen.size, claimed.seen.mtime_ns)


def _batched(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    remaining = iter(items)
    while group := list(islice(remaining, size)):
        yield group
