"""The errors of the service, named by what happens next.

XrayError
├── UnreadableXray          skip and record: this file gets a reason code, the rest goes on
├── ClaimLost               give up quietly: another process has taken this work over
├── RefusedInput            refuse the whole input and change nothing; the user mends it (exit code 2)
│   ├── InvalidLabelsCsv    every bad row is listed
│   └── InvalidDataset
└── PersonNeeded            stop: nothing sensible can be done without a person (exit code 1)
    ├── SchemaOutOfDate
    ├── NoChampion
    ├── IncompatibleModel   a model that cannot be loaded, exported or trusted
    ├── ModelAltered        a model file that is no longer what was registered
    └── LowDisk
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from xray_core.records import LabelProblem, LabelProblemCode, ReasonCode


class XrayError(Exception):
    """The root of the tree; catch one of its branches instead."""


class UnreadableXray(XrayError):
    """One file cannot be scored. `detail` holds no path and no patient data."""

    def __init__(self, reason: ReasonCode, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ClaimLost(XrayError):
    """Another process has taken this work over while this one was thought dead."""


class RefusedInput(XrayError):
    """The user's input cannot be used; the message says what, where, received and expected."""


class InvalidLabelsCsv(RefusedInput):
    """A labels CSV with at least one bad row: none of it was imported.

    The message lists every problem and may hold file names; `problem_counts`, by code, holds none.
    """

    def __init__(self, source: str, problems: Sequence[LabelProblem | str]) -> None:
        heading = f"{source}: refused, nothing was imported; {len(problems)} to mend:"
        super().__init__("\n".join((heading, *map(str, problems))))
        self.problems = tuple(problems)

    @property
    def problem_counts(self) -> dict[str, int]:
        """How many problems of each code; a bare sentence is the ledger's, which knows no such X-ray."""
        codes = (p.code if isinstance(p, LabelProblem) else LabelProblemCode.UNMATCHED for p in self.problems)
        return dict(sorted(Counter(code.value for code in codes).items()))


class InvalidDataset(RefusedInput):
    """A dataset folder that training cannot use."""


class PersonNeeded(XrayError):
    """The run stops here; the message says what a person must do."""


class SchemaOutOfDate(PersonNeeded):
    """The database was made by another version; `xray up` or `xray doctor --migrate` names the revision."""


class NoChampion(PersonNeeded):
    """There is no champion to score with."""


class IncompatibleModel(PersonNeeded):
    """The model cannot be loaded, exported or trusted."""


class ModelAltered(IncompatibleModel):
    """A model file's bytes are not the registered ones."""


class LowDisk(PersonNeeded):
    """Too little free space to write safely; intake pauses before it writes."""
