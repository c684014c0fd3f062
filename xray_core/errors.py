"""The errors of the service, named by what happens next.

XrayError
├── UnreadableXray          skip and record: this file gets a reason code, the rest goes on
├── ClaimLost               give up quietly: another process has taken this work over
├── RefusedInput            refuse the whole input and change nothing; the user mends it (exit code 2)
│   ├── NoHome              there is none where the settings say
│   ├── NoBucket            the bucket of films is not there, does not answer, or may not be listed
│   ├── InvalidLabelsCsv    every bad row is listed
│   └── InvalidDataset
└── PersonNeeded            stop: nothing sensible can be done without a person (exit code 1)
    ├── SchemaOutOfDate
    ├── NoChampion
    ├── IncompatibleModel   a model that cannot be loaded, exported or trusted
    ├── ModelAltered        a model file that is no longer what was registered
    ├── LowDisk
    ├── FolderMissing       a folder of films is not there, or is not the one that it was
    ├── LedgerAltered       the database is damaged, cut, emptied or an older copy
    └── WrongSiteKey        the key is not there, or is not the one that the ledger hangs on
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from xray_core.records import LabelProblem, LabelProblemCode, ReasonCode


class XrayError(Exception):
    """The root of the tree; catch one of its branches instead.

    The message is for the person who gave the input, and may name files. Prefect's pages and logs get to see the
    public sentence alone: the message where it was raised as `public`, since it names no file, folder or person,
    else what is said of every error of its kind.
    """

    kind_sentence: ClassVar[str] = "the service stopped at an error of its own"

    def __init__(self, message: str = "", *, public: bool = False) -> None:
        super().__init__(message)
        self.is_public = public

    @property
    def public_sentence(self) -> str:
        """What happened, for everybody."""
        return str(self) if self.is_public else self.kind_sentence


class UnreadableXray(XrayError):
    """One file cannot be scored. `detail` holds no path and no patient data."""

    def __init__(self, reason: ReasonCode, detail: str) -> None:
        super().__init__(f"{reason}: {detail}", public=True)
        self.reason = reason
        self.detail = detail


class ClaimLost(XrayError):
    """Another process has taken this work over while this one was thought dead."""

    kind_sentence = "another process has taken this work over"


class RefusedInput(XrayError):
    """The user's input cannot be used; the message says what, where, received and expected."""

    kind_sentence = "an input was refused; the same command in a terminal names it"


class NoHome(RefusedInput):
    """No home where the settings say: a mistyped folder is never made one."""


class NoBucket(RefusedInput):
    """The bucket of films is not there, does not answer, or may not be listed; nothing was changed."""

    kind_sentence = "the bucket of films does not answer, or refuses; `xray doctor` says which"


class InvalidLabelsCsv(RefusedInput):
    """A labels CSV with at least one bad row: none of it was imported.

    The message lists what to mend, a line for each kind of problem, and may hold file names; however many rows are
    bad, it stays short enough to read. `problem_counts`, by code, and `fit`, which says how many rows fit, hold no
    name.
    """

    def __init__(self, source: str, problems: Sequence[LabelProblem | str], fit: str = "") -> None:
        self.fit = fit and f"{fit}; "
        heading = f"{source}: refused, nothing was imported; {self.fit}{len(problems)} to mend:"
        self.problems = tuple(problems)
        lines = _list_problems(problems)
        left = [
            f"and more of these kinds: {', '.join(f'{code} {n}' for code, n in self.problem_counts.items())} in all"
        ]
        shown = lines if len(lines) <= _MOST_LINES else lines[:_MOST_LINES] + left
        super().__init__("\n".join((heading, *shown)))

    @property
    def public_sentence(self) -> str:
        """The problems as counts."""
        if self.is_public:
            return str(self)
        counts = ", ".join(f"{n} {code}" for code, n in self.problem_counts.items())
        return f"a labels CSV was refused, nothing of it was imported: {self.fit}{counts}"

    @property
    def problem_counts(self) -> dict[str, int]:
        """How many problems of each code; a bare sentence is the ledger's, which knows no such X-ray."""
        codes = (p.code if isinstance(p, LabelProblem) else LabelProblemCode.UNMATCHED for p in self.problems)
        return dict(sorted(Counter(code.value for code in codes).items()))


# What a person reads before mending the file; the codes and counts say the rest.
_MOST_LINES = 50
_MOST_EXAMPLES = 10


def _list_problems(problems: Sequence[LabelProblem | str]) -> list[str]:
    """A line for each problem; rows that differ in nothing but their line and file share one."""
    alike: dict[object, list[LabelProblem]] = {}
    listed: dict[object, str] = {}
    for problem in problems:
        if isinstance(problem, str):
            listed.setdefault(problem, problem)
            continue
        kind = (problem.code, problem.received, problem.accepted)
        alike.setdefault(kind, []).append(problem)
        listed.setdefault(kind, "")
    return [text or _say_alike(alike[kind]) for kind, text in listed.items()]


def _say_alike(problems: Sequence[LabelProblem]) -> str:
    if len(problems) == 1:
        return str(problems[0])
    shown = problems[:_MOST_EXAMPLES]
    more = f" and {len(problems) - len(shown)} more" if len(problems) > len(shown) else ""
    lines = ", ".join(str(problem.line) for problem in shown if problem.line is not None)
    names = ", ".join(repr(problem.name) for problem in shown if problem.name)
    where = f"lines {lines}{more}: " if lines else f"{len(problems)} times: "
    what = f"received {problems[0].received}" + (f" for {names}{more}" if names else "")
    return f"{where}{what}; expected {problems[0].accepted}"


class InvalidDataset(RefusedInput):
    """A dataset folder that training cannot use."""

    kind_sentence = "these X-rays cannot be trained or judged on; `xray train` in a terminal says which and why"


class PersonNeeded(XrayError):
    """The run stops here; the message says what a person must do."""

    kind_sentence = "a person is needed; `xray status` and `xray doctor` say what for"


class SchemaOutOfDate(PersonNeeded):
    """The database was made by another version; `xray up` or `xray doctor --migrate` names the revision."""

    kind_sentence = (
        "the database is not of this version of the service: stop it, `xray backup DIR`, then `xray doctor --migrate`"
    )


class NoChampion(PersonNeeded):
    """There is no champion to score with."""

    kind_sentence = (
        "there is no champion to score with: `xray train DATASET_DIR` or `xray models import FILE` makes one"
    )


class IncompatibleModel(PersonNeeded):
    """The model cannot be loaded, exported or trusted."""

    kind_sentence = "a model cannot be loaded, exported or trusted; `xray verify` names it"


class ModelAltered(IncompatibleModel):
    """A model file's bytes are not the registered ones; the message ends in the way out."""

    kind_sentence = (
        "a model's files are not those that were registered: `xray verify` names them, `xray models rollback` leaves it"
    )

    def __init__(self, message: str = "", *, public: bool = False) -> None:
        way_out = "(way out: put the folder back from a backup; where it is champion, `xray models rollback` leaves it)"
        super().__init__(message if message.endswith(way_out) else f"{message} {way_out}", public=public)


class LedgerAltered(PersonNeeded):
    """The database is damaged, or no longer what this home wrote: nothing is written on top of it."""


class LowDisk(PersonNeeded):
    """Too little free space to write safely; intake pauses before it writes."""

    kind_sentence = "too little free space on the disk; intake pauses until there is more, nothing was lost"


class WrongSiteKey(PersonNeeded):
    """The home's site key is lost, or is not the one that the ledger's patients and sides hang on."""

    kind_sentence = "the site key is lost, or is not the one that this ledger hangs on; `xray status` says what to do"


class FolderMissing(PersonNeeded):
    """The incoming or archive folder is not there, or lies on another device: an unmounted share looks empty."""

    kind_sentence = "a folder of films is not there, or is on another device than before; `xray status` names it"
