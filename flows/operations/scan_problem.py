"""What ended a scan, for people; the ledger keeps it in a word."""

from __future__ import annotations

from xray_core.errors import XrayError

# What a scan found amiss that is no error of ours, in words for people.
_PROBLEMS = {
    "Stopped": "it was stopped by a person or the service manager; the next scan does the rest",
    "NonFiniteScores": "the model had no number for more than one X-ray in twenty; `xray models rollback` ends it",
    "FilmsNotArchived": "scored films could not be moved to the archive; `xray doctor` looks at its folder",
}


def say_problem(problem: str) -> str:
    """The stored word of a scan's problem as a sentence; pure. A fault that is none of ours keeps its name."""
    if problem in _PROBLEMS:
        return _PROBLEMS[problem]
    kind = next((kind for kind in _list_kinds(XrayError) if kind.__name__ == problem), None)
    return kind.kind_sentence if kind else f"it ended with {problem}; the log of the run says where"


def _list_kinds(root: type[XrayError]) -> list[type[XrayError]]:
    return [root, *(kind for child in root.__subclasses__() for kind in _list_kinds(child))]
