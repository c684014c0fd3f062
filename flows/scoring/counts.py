"""What a scan decided, counted, and what it found amiss."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flows.home.termination import find_stop
from xray_core.records import ReasonCode

if TYPE_CHECKING:
    pass


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


def find_problem(counts: ScanCounts) -> str | None:
    """What a scan that came to its end found amiss, in a word; pure. One odd film is data, one in twenty the model."""
    wordless = counts.rejected[ReasonCode.NON_FINITE_SCORE.value]
    return "NonFiniteScores" if wordless > 0.05 * (counts.scored + wordless) else None


def name_problem(error: BaseException) -> str:
    """What ended a scan, in a word; pure: the fault's name, or `Stopped` where a person or a service manager did."""
    return "Stopped" if find_stop(error) is not None else type(error).__name__
