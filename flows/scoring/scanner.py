"""A process that scans: what it claims it alone may work on, what it records is committed and counted as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Engine

from db.engine import snapshot, transaction
from db.records import ClaimedFile, RefusedFile, Scored
from db.scoring import claims, decisions
from flows.home.folders import check_free_space, tidy_home
from flows.home.ledger import open_ledger, record_folder
from flows.home.mounts import check_folders
from flows.home.process_lock import hold_scanner_lock, is_scanner_alive
from flows.home.termination import unbroken
from flows.scoring.counts import ScanCounts
from flows.scoring.film_store import FilmStore, open_store
from flows.scoring.lease import Lease
from flows.scoring.scorer import Scorer, open_scorer, read_reason_to_refer
from flows.settings import Settings
from xray_core.imaging.folder import plan_retry, refuse_by_kind, sign_file
from xray_core.imaging.records import FileSeen
from xray_core.records import FolderKind, Refusal


@contextmanager
def open_scanner(settings: Settings, *, whole_listing: bool = False) -> Iterator[Scanner]:
    """Open the ledger and hold this process's name on claims; everything is closed after it, whatever happens.

    Raises SchemaOutOfDate before anything else, FolderMissing, NoBucket and LowDisk before anything is written. The
    champion and the decoders start with the first batch: a scan that finds nothing pays for neither. `whole_listing`
    is what `open_store` calls whole.
    """
    with ExitStack() as stack:
        with unbroken():
            engine = stack.enter_context(open_ledger(settings))
        check_folders(settings)
        store = open_store(settings, whole=whole_listing)
        check_free_space(settings)
        tidy_home(settings)
        name = stack.enter_context(hold_scanner_lock(settings.home / "run"))
        with unbroken():
            folder_id = record_folder(settings, engine, FolderKind.INCOMING)
        scanner = Scanner(settings, engine, store, folder_id, name, models=stack.enter_context(ExitStack()))
        stack.callback(scanner.end_lease)
        yield scanner


class Scanner:
    """The lifetime of one scanning process: an engine, a name on claims, and from the first batch on a scorer.

    `is_joined` once a claim brought less than was asked for: others are at work on the same files.
    """

    def __init__(
        self, settings: Settings, engine: Engine, store: FilmStore, folder_id: int, name: str, *, models: ExitStack
    ) -> None:
        self.settings = settings
        self.engine = engine
        self.store = store
        self.folder_id = folder_id
        self._name = name
        self._models = models
        self._scorer: Scorer | None = None
        self._lease = Lease(engine, name, settings.lease_seconds)
        self.is_joined = False

    def open_scorer(self, model_id: int) -> Scorer:
        """The model with its decoders: opened once, and kept until another one is asked for."""
        if self._scorer is None or self._scorer.model_id != model_id:
            self._scorer = None
            self._models.close()
            self._scorer = self._models.enter_context(open_scorer(self.settings, self.engine, self.store, model_id))
            return self._scorer
        # Another process may have audited it since: what is referred for its sake is asked with every batch.
        self._scorer = replace(self._scorer, referred_for=read_reason_to_refer(self.settings, self.engine, model_id))
        return self._scorer

    def claim(
        self,
        files: Sequence[FileSeen],
        counts: ScanCounts,
        *,
        refuse: Callable[[FileSeen], Refusal | None] = refuse_by_kind,
    ) -> list[ClaimedFile]:
        """Reserve files for this process; those that can be refused unopened are, in the same transaction.

        Once others were seen to be at work on them, what they have is left out before the ledger's one writer is asked.
        """
        if self.is_joined:
            files = self._leave_out_taken(files)
        if not files:
            return []
        signed = [
            (seen, sign_file(self.folder_id, seen.name, seen.size, seen.mtime_ns, seen.ctime_ns)) for seen in files
        ]
        now = datetime.now(UTC)
        with unbroken():  # what is committed is also counted
            with transaction(self.engine) as session:
                claimed = claims.claim_files(
                    session,
                    signed,
                    folder_id=self.folder_id,
                    scanner=self._name,
                    now=now,
                    lease_seconds=self.settings.lease_seconds,
                    is_alive=self._is_alive,
                )
                refusals = [(file, refuse(file.seen)) for file in claimed]
                refused = [self.refuse(file, None, refusal) for file, refusal in refusals if refusal]
                if refused:
                    decisions.record_batch(
                        session,
                        scored=[],
                        refused=refused,
                        scanner=self._name,
                        model_id=None,
                        preprocessing_version=None,
                        folder_id=self.folder_id,
                        flow_run_id=None,
                        now=now,
                    )
            counts.add([], refused)
        self.is_joined = self.is_joined or len(claimed) < len(files)
        mine = [file for file, refusal in refusals if not refusal]
        self._lease.hold(file.file_id for file in mine)
        return mine

    def _leave_out_taken(self, files: Sequence[FileSeen]) -> Sequence[FileSeen]:
        with unbroken(), snapshot(self.engine) as session:
            return claims.find_free(
                session,
                files,
                folder_id=self.folder_id,
                scanner=self._name,
                now=datetime.now(UTC),
                is_alive=self._is_alive,
            )

    def _is_alive(self, scanner: str) -> bool:
        return is_scanner_alive(self.settings.home / "run", scanner)

    def end_lease(self) -> None:
        """Renew no claim any more: the process ends."""
        self._lease.end()

    def refuse(self, file: ClaimedFile, sha256: str | None, refusal: Refusal) -> RefusedFile:
        """A refusal with the time of the next look, if the file may become whole by then."""
        retry_at = plan_retry(
            refusal,
            deferred_since=file.deferred_since,
            tries=file.tries,
            now=datetime.now(UTC),
            defer_hours=self.settings.defer_hours,
        )
        return RefusedFile(file.file_id, sha256, refusal, retry_at)

    def record(
        self,
        scored: Sequence[Scored],
        refused: Sequence[RefusedFile],
        counts: ScanCounts,
        *,
        scorer: Scorer,
        flow_run_id: str | None,
    ) -> None:
        """The one transaction of some scored and refused files, and the counts of what it wrote."""
        with unbroken():  # what is committed is also counted
            with transaction(self.engine) as session:
                decisions.record_batch(
                    session,
                    scored=scored,
                    refused=refused,
                    scanner=self._name,
                    model_id=scorer.model_id,
                    preprocessing_version=scorer.model.manifest.preprocessing.version,
                    folder_id=self.folder_id,
                    flow_run_id=flow_run_id,
                    now=datetime.now(UTC),
                )
            counts.add(scored, refused)
        self._lease.let_go([file.claimed.file_id for file in scored] + [file.file_id for file in refused])
