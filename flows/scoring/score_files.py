"""A batch of files, and the one function that scores it: claim, decode, score, record."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

from db.records import ClaimedFile, Scored
from flows.home.site_key import fingerprint
from flows.scoring.counts import ScanCounts
from flows.scoring.scanner import Scanner, open_scanner
from flows.settings import read_settings
from xray_core.errors import WrongSiteKey
from xray_core.imaging.records import FileSeen

if TYPE_CHECKING:
    from flows.scoring.scorer import Scorer
    from xray_core.processes.decoding import Decoded, DecodeRequest, Undecoded


# Claimed together: few enough that two scanners share a folder fairly.
_CLAIM_SIZE = 64
# Inferred together at least: fewer towards the end, so that little is left to do after the last one is decoded.
_FEWEST_TOGETHER = 16


_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Batch:
    """Files to score now: names and numbers, so that it can be sent to any process that works for the same ledger.

    `model_id` is the champion's, `key_fingerprint` that of the key under which patients are pseudonyms,
    `batch_size` how many X-rays share an inference and a transaction.
    """

    files: tuple[FileSeen, ...]
    model_id: int
    flow_run_id: str | None
    key_fingerprint: str
    batch_size: int


def score_files(
    batch: Batch,
    scanner: Scanner | None = None,
    counts: ScanCounts | None = None,
    *,
    on_progress: Callable[[int], None] = lambda _: None,
) -> ScanCounts:
    """Claim, decode, score and record the files of a batch; the counts of what was decided.

    A process that the batch was sent to opens its own scanner, once, from its own environment. `counts`, where given,
    is added to with every commit: who is interrupted knows what was done by then.
    Raises WrongSiteKey, NoChampion, IncompatibleModel or ModelAltered before the first file is claimed.
    """
    from xray_core.processes.fork_server import start_fork_server

    start_fork_server()  # it imports on one core while we import and load the model on another
    scanner = scanner or _open_own_scanner()
    counts = ScanCounts() if counts is None else counts
    scorer = scanner.open_scorer(batch.model_id)
    _check_key(scorer, batch)
    films = _read_files(batch, scanner, scorer, counts)
    left = len(batch.files)
    while True:
        coming = in_groups(islice(films, batch.batch_size), max(_FEWEST_TOGETHER, left // 4))
        answers, scored, unscored = scorer.score(coming)
        if not answers:
            return counts
        left -= len(answers)
        refused = [scanner.refuse(*reason) for reason in unscored]
        scanner.record(scored, refused, counts, scorer=scorer, flow_run_id=batch.flow_run_id)
        _follow_up(scanner, scorer, batch, answers, scored)
        on_progress(len(answers))


def in_groups(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """The items in lists of `size`, the last one shorter."""
    remaining = iter(items)
    while group := list(islice(remaining, size)):
        yield group


def _read_files(
    batch: Batch, scanner: Scanner, scorer: Scorer, counts: ScanCounts
) -> Iterator[tuple[ClaimedFile, Decoded | Undecoded]]:
    """Claim files whenever the decoders have room for more, and yield each with what became of its bytes."""
    from xray_core.processes.decoding import Decoding

    groups = list(in_groups(batch.files, _CLAIM_SIZE))
    pending: Iterator[tuple[ClaimedFile, DecodeRequest]] = iter(())
    decoding: Decoding[ClaimedFile] = scorer.decoder.start()
    while True:
        while decoding.room:
            if (request := next(pending, None)) is not None:
                decoding.add(islice(chain([request], pending), decoding.room))
            elif groups:
                # In their order, until others have come: two that go the same way ask for the same files at every step.
                place = random.randrange(len(groups)) if scanner.is_joined else 0
                pending = scanner.store.read(scanner.claim(groups.pop(place), counts))
            else:
                break
        answers = decoding.take()
        if not answers:
            return
        yield from answers


def _follow_up(
    scanner: Scanner,
    scorer: Scorer,
    batch: Batch,
    answers: Sequence[tuple[ClaimedFile, Decoded | Undecoded]],
    scored: Sequence[Scored],
) -> None:
    """What the champion has scored and the ledger holds goes to the shadow and into the archive."""
    if scorer.shadow is not None:
        scorer.shadow.score(answers, scored, batch.flow_run_id)
    if scanner.settings.archive_dir is not None:
        from flows.scoring.archive import archive_scored

        archive_scored(scanner.settings, scanner.engine, scanner.store, scored)


def _check_key(scorer: Scorer, batch: Batch) -> None:
    own = fingerprint(scorer.site_key)
    if own != batch.key_fingerprint:
        raise WrongSiteKey(
            f"the key of this home is {own[:12]}, that of the scan {batch.key_fingerprint[:12]}: one patient would get "
            "two pseudonyms; copy the site.key of the home that scans"
        )


@cache
def _open_own_scanner() -> Scanner:
    """The one scanner of a process that batches are sent to; it is closed as the process ends.

    Not by `atexit`: a process that multiprocessing started waits for its children before that, and the decoders wait
    for it.
    """
    from multiprocessing.util import Finalize

    stack = ExitStack()
    Finalize(None, stack.close, exitpriority=100)
    return stack.enter_context(open_scanner(read_settings()))
