"""What a scan decided, counted, and what it found amiss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from db.records import FileFate, RefusedFile, Scored
from flows.home.termination import find_stop
from xray_core.records import FileState, ReasonCode

# How a run ends, in people's lists of runs, that found nothing to do.
NOTHING_NEW = "Nothing new"


@dataclass(slots=True)
class ScanCounts:
    """What a scan decided so far, by outcome of the scored X-rays and by reason code of the others.

    `unarchived` are scored films that could not be moved to the archive, by the name of the error.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    known: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    deferred: Counter[str] = field(default_factory=Counter)
    unarchived: Counter[str] = field(default_factory=Counter)

    @property
    def scored(self) -> int:
        """X-rays that got a result in this scan."""
        return self.outcomes.total()

    @property
    def files(self) -> int:
        """Files that this scan decided on."""
        return self.scored + self.known + self.rejected.total() + self.deferred.total()

    def add(self, scored: Sequence[Scored], refused: Sequence[RefusedFile]) -> None:
        """Count what was recorded."""
        self.outcomes.update(file.score.outcome.value for file in scored if file.score)
        self.known += sum(file.score is None for file in scored)
        self.rejected.update(file.refusal.reason.value for file in refused if file.retry_at is None)
        self.deferred.update(file.refusal.reason.value for file in refused if file.retry_at is not None)

    def add_fate(self, fate: FileFate | None, since: datetime) -> bool:
        """Count what the ledger says of a file, if it was decided since then; False where it has yet to be."""
        if fate is None or fate.decided_at is None or fate.decided_at < since:
            return fate is not None and fate.state in (FileState.SCORED, FileState.REJECTED)
        if fate.state is FileState.SCORED:
            is_new = fate.outcome is not None and fate.scored_at is not None and fate.scored_at >= since
            self.outcomes.update([fate.outcome.value] if is_new and fate.outcome else [])
            self.known += not is_new
        elif fate.reason is not None:
            counted = self.rejected if fate.state is FileState.REJECTED else self.deferred
            counted[fate.reason.value] += 1
        return True

    def title(self) -> str:
        """What happened, in the fewest words: `Scored 6, rejected 1` or `Nothing new`."""
        counted = (("scored", self.scored), ("known", self.known), ("rejected", self.rejected.total()))
        parts = [f"{word} {number}" for word, number in (*counted, ("deferred", self.deferred.total())) if number]
        return ", ".join(parts).capitalize() or NOTHING_NEW

    def sentence(self) -> str:
        """One line for logs, run states and the terminal."""
        parts = [f"{self.scored} scored"] if self.files else ["nothing new"]
        parts += [f"{self.known} already scored under another name"] if self.known else []
        parts += [f"{self.rejected.total()} rejected"] if self.rejected else []
        parts += [f"{self.deferred.total()} deferred"] if self.deferred else []
        if self.unarchived:
            errors = ", ".join(f"{code} {number}" for code, number in sorted(self.unarchived.items()))
            parts += [f"{self.unarchived.total()} not archived ({errors}): they stay, and the next scan tries again"]
        return ", ".join(parts)


def find_problem(counts: ScanCounts) -> str | None:
    """What a scan that came to its end found amiss, in a word; pure.

    More than 5 % of scores that are not finite is the model's fault; fewer are the X-rays'.
    """
    without_score = counts.rejected[ReasonCode.NON_FINITE_SCORE.value]
    if without_score > 0.05 * (counts.scored + without_score):
        return "NonFiniteScores"
    return "FilmsNotArchived" if counts.unarchived else None


def name_problem(error: BaseException) -> str:
    """What ended a scan, in a word; pure: the fault's name, or `Stopped` where a person or a service manager did."""
    return "Stopped" if find_stop(error) is not None else type(error).__name__
