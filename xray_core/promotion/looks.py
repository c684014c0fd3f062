"""How often one test side has been asked: every comparison at it is a look, and each look spends error."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

RENEWED_BY: Final = 0.5  # of the side's patients: as many new ones make it another side
_DIGITS: Final = 16  # of a SHA-256: enough to tell the X-rays of one home apart, a quarter of its length


@dataclass(frozen=True, slots=True)
class Look:
    """A comparison of models at a test side: the `number`-th since the side was renewed, at `renewed_at`.

    `side` holds, for every patient that stood on the side when it was renewed, the first digits of the SHA-256 of each
    X-ray; `follows` is the ledger's id of the evaluation that took the look before, None where there was none.
    """

    number: int
    renewed_at: datetime
    side: tuple[tuple[str, ...], ...] = ()
    follows: int | None = None

    def __str__(self) -> str:
        return f"look {self.number} at this side (renewed {self.renewed_at:%Y-%m-%d})"

    def to_dict(self) -> dict[str, Any]:
        """As JSON's own values, for the evaluation that takes it."""
        return asdict(self) | {"renewed_at": self.renewed_at.isoformat()}


@dataclass(frozen=True, slots=True)
class StoredLooks:
    """What the ledger has of looks: the newest at each side, and how many evaluations of before nobody counted.

    `newest_id` is the ledger's id of the newest of all. `uncounted` are those of test sides from before looks were
    kept, the first of them at `first_uncounted`.
    """

    at_sides: tuple[Look, ...] = ()
    newest_id: int | None = None
    uncounted: int = 0
    first_uncounted: datetime | None = None


def spend_alpha(alpha: float, look: int) -> float:
    """The share of `alpha` (0..1) that look number `look` (from 1 on) may spend: alpha x 6 / pi² / look².

    Over ever so many looks the shares add up to alpha, so the chance of ever promoting a candidate that is worse by
    the margin stays below it, whatever the looks have in common (Bonferroni, spent unevenly: alpha-spending for model
    updates of Feng, Emerson and Simon, Biometrics 2021;77:31-44). Of 0.05: 0.0304, 0.0076, 0.0034, ... at look 5
    0.0012. The price is power: an equally good candidate (AUROC 0.92, the scores correlating 0.8) passes at look 5 in
    about 9 of 100 comparisons with 60 patients a class, in 53 with 100 (docs/gate.md).
    """
    return alpha * 6 / math.pi**2 / look**2


def take_look(stored: StoredLooks, patients: Sequence[str], xrays: Sequence[str], *, now: datetime) -> Look:
    """The look that a comparison takes on the X-rays (n,) by SHA-256 of the patients (n,) of a test side.

    It starts anew where at least half of the patients are new: no X-ray of theirs stood on any side when that was
    renewed. Else it goes on with the side that most of them stood on; where sides tie, with the one asked most often.
    Evaluations of before looks were kept count as one each, at the side as it is now.
    """
    side = _group(patients, xrays)
    if not stored.at_sides:
        return Look(stored.uncounted + 1, stored.first_uncounted or now, side)
    known = _count_known(side, stored.at_sides)
    if len(side) - known >= RENEWED_BY * len(side):
        return Look(1, now, side, stored.newest_id)
    last = max(stored.at_sides, key=lambda look: (_count_known(side, [look]), look.number))
    return Look(last.number + 1, last.renewed_at, last.side, stored.newest_id)


def read_looks(evaluations: Iterable[tuple[int, datetime, str]]) -> StoredLooks:
    """What past evaluations of the test side say of looks: their ids, times and JSON, in the order they were made."""
    stored = StoredLooks()
    for evaluation_id, made_at, text in evaluations:
        figures: Mapping[str, Any] = json.loads(text)
        if "look" not in figures:
            first = stored.first_uncounted or made_at
            stored = replace(stored, uncounted=stored.uncounted + 1, first_uncounted=first)
        elif figures["look"] is not None:
            look = _read_look(figures["look"])
            others = tuple(each for each in stored.at_sides if each.side != look.side)
            stored = replace(stored, at_sides=(*others, look), newest_id=evaluation_id)
    return stored


def _read_look(kept: Mapping[str, Any]) -> Look:
    return Look(
        number=kept["number"],
        renewed_at=datetime.fromisoformat(kept["renewed_at"]),
        side=tuple(tuple(films) for films in kept["side"]),
        follows=kept["follows"],
    )


def _count_known(side: Sequence[Sequence[str]], looks: Iterable[Look]) -> int:
    """How many patients of a side have an X-ray that stood on the side of one of the looks."""
    stood = {xray for look in looks for films in look.side for xray in films}
    return sum(not stood.isdisjoint(films) for films in side)


def _group(patients: Sequence[str], xrays: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    films: dict[str, list[str]] = {}
    for patient, xray in sorted(zip(patients, xrays, strict=True)):
        films.setdefault(patient, []).append(xray[:_DIGITS])
    return tuple(tuple(each) for each in films.values())
