"""One scoring pass over the incoming folder, without Prefect: gather, decide, apply, batch by batch."""

from __future__ import annotations

import os
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Engine

from db import incoming_files, model_registry, scans
from db.engine import snapshot, transaction
from flows.archive import archive_files
from flows.home import check_free_space, pseudonym, read_site_key
from flows.ledger import open_ledger
from flows.scanner_lock import hold_scanner_lock, is_scanner_alive
from flows.settings import Settings
from flows.termination import unbroken
from xray_core.errors import NoChampion
from xray_core.intake import find_files, is_settled, look_again, plan_retry, refuse_by_kind, sign_file
from xray_core.records import (
    ClaimedFile,
    FileSeen,
    ReadFile,
    ReasonCode,
    Refusal,
    RefusedFile,
    ScoredFile,
    unescape_name,
)

if TYPE_CHECKING:
    from flows.shadow import Shadow
    from xray_core.decoding import Decoded, Decoder, DecodeRequest, Undecoded
    from xray_core.model_folder import OpenModel
    from xray_core.scoring import Scored

# Files of one Prefect task run: the server takes 13-20 task runs a second, so never one per X-ray.
FILES_PER_BATCH = 512
# Claimed together: few enough that two scanners share a folder fairly.
_CLAIM_SIZE = 64

_Item = TypeVar("_Item")


@dataclass(slots=True)
class ScanCounts:
    """What a scan decided so far, by outcome of the scored X-rays and by reason code of the others."""

    outcomes: Counter[str] = field(default_factory=Counter)
    known: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    deferred: Counter[str] = field(default_factory=Counter)

    @property
    def scored(self) -> int:
        """X-rays that got a result in this scan."""
        return self.outcomes.total()

    @property
    def files(self) -> int:
        """Files that this scan decided on."""
        return self.scored + self.known + self.rejected.total() + self.deferred.total()

    def sentence(self) -> str:
        """One line for logs, run states and the terminal."""
        if not self.files:
            return "nothing new"
        parts = [f"{self.scored} scored"]
        parts += [f"{self.known} already scored under another name"] if self.known else []
        parts += [f"{self.rejected.total()} rejected"] if self.rejected else []
        parts += [f"{self.deferred.total()} deferred"] if self.deferred else []
        return ", ".join(parts)


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
        scan = Scan(settings, engine, scanner, flow_run_id, stack)
        started_at = datetime.now(UTC)
        try:
            yield scan
        except BaseException as error:
            scan.record(started_at, problem=name_problem(error))
            raise
        scan.record(started_at, problem=find_problem(scan.counts))


def find_problem(counts: ScanCounts) -> str | None:
    """What a scan that came to its end found amiss, in a word; pure. One odd film is data, one in twenty the model."""
    wordless = counts.rejected[ReasonCode.NON_FINITE_SCORE.value]
    return "NonFiniteScores" if wordless > 0.05 * (counts.scored + wordless) else None


def name_problem(error: BaseException) -> str:
    """What ended a scan, in a word; pure: the fault's name, or `Stopped` where a person or a service manager did.

    A library that was interrupted may have turned the stop into an error of its own: the stop is then behind it.
    """
    behind: BaseException | None = error
    while behind is not None:
        if not isinstance(behind, Exception):
            return "Stopped"
        behind = behind.__cause__ or behind.__context__
    return type(error).__name__


class Scan:
    """The lifetime of one scan: an engine, a claim name, and (from the first file on) a classifier and decoders."""

    def __init__(
        self, settings: Settings, engine: Engine, scanner: str, flow_run_id: str | None, stack: ExitStack
    ) -> None:
        self.counts = ScanCounts()
        self._settings = settings
        self._engine = engine
        self._scanner = scanner
        self._flow_run_id = flow_run_id
        self._stack = stack
        self._tools: _Tools | None = None

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
        from xray_core.fork_server import start_fork_server

        start_fork_server()  # it imports on one core while we import and load the model on another
        from xray_core.scoring import score_batches

        tools = self._open_tools()
        claims: dict[int, ClaimedFile] = {}
        batches = score_batches(
            tools.decoder.decode(self._claim_requests(files, claims)),
            tools.opened.classifier,
            batch_size=self._settings.batch_size,
            find_scored=tools.find_scored,
            reference=tools.opened.reference,
        )
        for batch in batches:
            self._commit(batch, claims, tools)
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
        for seen in find_files(self._settings.incoming_dir, self._read_known()):
            if is_settled(seen, now_ns=time.time_ns(), settle_seconds=self._settings.settle_seconds):
                yield seen
            else:
                fresh.append(seen)

    def _read_known(self) -> array[int]:
        with unbroken(), snapshot(self._engine) as session:
            return incoming_files.decided_signatures(session, datetime.now(UTC))

    def _claim(self, files: list[FileSeen]) -> list[ClaimedFile]:
        signed = [(seen, sign_file(seen.name, seen.size, seen.mtime_ns)) for seen in files]
        with unbroken(), transaction(self._engine) as session:
            return incoming_files.claim_files(
                session,
                signed,
                scanner=self._scanner,
                now=datetime.now(UTC),
                lease_seconds=self._settings.lease_seconds,
                is_alive=lambda scanner: is_scanner_alive(self._settings.home / "run", scanner),
            )

    def _claim_requests(self, files: list[FileSeen], claims: dict[int, ClaimedFile]) -> Iterator[DecodeRequest]:
        """Claim as the decoders ask for work; what is no regular file is refused without being opened."""
        for group in _batched(files, _CLAIM_SIZE):
            irregular: list[tuple[ClaimedFile, Refusal]] = []
            for claimed in self._claim(group):
                if refusal := refuse_by_kind(claimed.seen):
                    irregular.append((claimed, refusal))
                    continue
                claims[claimed.file_id] = claimed
                yield _to_request(claimed)
            self._save([], [self._refuse(claimed, None, refusal) for claimed, refusal in irregular], None)

    def _close_vanished(self) -> None:
        """Files that should have been looked at long ago and are not there any more are rejected as GONE."""
        before = datetime.now(UTC) - timedelta(hours=self._settings.defer_hours)
        with unbroken(), snapshot(self._engine) as session:
            overdue = incoming_files.find_overdue(session, before=before)
        gone = [file_id for file_id, name in overdue if not os.path.lexists(self._path_of(name))]
        if gone:
            with unbroken(), transaction(self._engine) as session:
                incoming_files.mark_gone(session, gone, now=datetime.now(UTC))
            self.counts.rejected[ReasonCode.GONE.value] += len(gone)

    def _path_of(self, name: str) -> bytes:
        return os.path.join(os.fsencode(self._settings.incoming_dir), unescape_name(name))

    def _defer_unsettled(self, files: list[FileSeen]) -> None:
        refusal = Refusal(ReasonCode.UNSETTLED, "still changing")
        for group in _batched(files, _CLAIM_SIZE):
            self._save([], [self._refuse(claimed, None, refusal) for claimed in self._claim(group)], None)

    def _open_tools(self) -> _Tools:
        if self._tools is None:
            self._tools = self._stack.enter_context(_open_tools(self._settings, self._engine, self._flow_run_id))
        return self._tools

    def _commit(self, batch: list[Scored | Undecoded], claims: dict[int, ClaimedFile], tools: _Tools) -> None:
        from xray_core.scoring import Scored

        scored: list[ScoredFile] = []
        refused: list[RefusedFile] = []
        for item in batch:
            if isinstance(item, Scored):
                scored.append(tools.judge(item))
            else:
                refused.append(self._refuse(claims[item.key], item.sha256, item.refusal))
        self._save(scored, refused, tools)
        if tools.shadow is not None:
            fresh = [item.decoded for item in batch if isinstance(item, Scored) and item.probability is not None]
            tools.shadow.score([(decoded, _to_request(claims[decoded.key])) for decoded in fresh])
        if self._settings.archive_dir is not None:
            with unbroken():
                archive_files(
                    self._settings, self._engine, [(claims[file.read.file_id].seen, file.read) for file in scored]
                )
        for item in batch:
            del claims[item.decoded.key if isinstance(item, Scored) else item.key]

    def _refuse(self, claimed: ClaimedFile, sha256: str | None, refusal: Refusal) -> RefusedFile:
        retry_at = plan_retry(
            refusal,
            deferred_since=claimed.deferred_since,
            tries=claimed.tries,
            now=datetime.now(UTC),
            defer_hours=self._settings.defer_hours,
        )
        return RefusedFile(claimed.file_id, sha256, refusal, retry_at)

    def _save(self, scored: list[ScoredFile], refused: list[RefusedFile], tools: _Tools | None) -> None:
        """The one transaction of a batch, and the counts of what it wrote."""
        if not scored and not refused:
            return
        with unbroken():  # what is committed is also counted
            with transaction(self._engine) as session:
                incoming_files.record_batch(
                    session,
                    scored=scored,
                    refused=refused,
                    scanner=self._scanner,
                    model_id=tools.model_id if tools else None,
                    preprocessing_version=tools.opened.manifest.preprocessing.version if tools else None,
                    incoming_dir=str(self._settings.incoming_dir),
                    flow_run_id=self._flow_run_id,
                    now=datetime.now(UTC),
                )
            self.counts.outcomes.update(file.outcome.value for file in scored if file.outcome)
            self.counts.known += sum(file.outcome is None for file in scored)
            self.counts.rejected.update(file.refusal.reason.value for file in refused if file.retry_at is None)
            self.counts.deferred.update(file.refusal.reason.value for file in refused if file.retry_at is not None)


@dataclass(frozen=True, slots=True)
class _Tools:
    """What scoring needs from the first file on: the champion, decoders, the patients' key, the shadow if any."""

    engine: Engine
    model_id: int
    opened: OpenModel
    decoder: Decoder
    site_key: bytes
    shadow: Shadow | None

    def find_scored(self, sha256s: Iterable[str]) -> set[str]:
        """Which of these X-rays the champion has scored before."""
        with unbroken(), snapshot(self.engine) as session:
            return incoming_files.find_scored(
                session, list(sha256s), self.model_id, self.opened.manifest.preprocessing.version
            )

    def judge(self, item: Scored) -> ScoredFile:
        """A score at the champion's operating point, referred where it is no chest film, with the pseudonym."""
        from flows.registered_model import say_outcome

        decoded, manifest, oddity = item.decoded, self.opened.manifest, item.oddity
        return ScoredFile(
            read=_to_read_file(decoded, self.site_key),
            probability=item.probability,
            outcome=None if item.probability is None else say_outcome(manifest, item.probability, oddity),
            duration_ms=item.duration_ms,
            refer_reason=oddity.reason if oddity else None,
            distance=oddity.distance if oddity else None,
        )


@contextmanager
def _open_tools(settings: Settings, engine: Engine, flow_run_id: str | None) -> Iterator[_Tools]:
    from flows.registered_model import open_registered
    from flows.shadow import open_shadow
    from xray_core.decoding import open_decoder

    with unbroken(), snapshot(engine) as session:
        champion = model_registry.champion(session)
    if champion is None:
        raise NoChampion(
            "there is no champion to score with: `xray train DATASET_DIR` or `xray models import` makes one"
        )
    opened = open_registered(settings, champion)
    takes = opened.manifest.preprocessing
    with ExitStack() as stack:
        decoder = stack.enter_context(
            open_decoder(
                takes,
                directory=settings.incoming_dir,
                workers=settings.workers,
                timeout_seconds=settings.decode_seconds,
                memory_bytes=settings.decode_mib * 2**20,
            )
        )
        shadow = stack.enter_context(open_shadow(settings, engine, takes, flow_run_id)) if settings.shadow else None
        yield _Tools(engine, champion.model_id, opened, decoder, read_site_key(settings), shadow)


def _to_request(claimed: ClaimedFile) -> DecodeRequest:
    from xray_core.decoding import DecodeRequest

    return DecodeRequest(claimed.file_id, claimed.seen.name, claimed.seen.size, claimed.seen.mtime_ns)


def _to_read_file(decoded: Decoded, site_key: bytes) -> ReadFile:
    patient = pseudonym(site_key, decoded.patient_id) if decoded.patient_id else None
    return ReadFile(decoded.key, decoded.sha256, decoded.facts, patient, decoded.dhash)


def _batched(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    remaining = iter(items)
    while group := list(islice(remaining, size)):
        yield group
