"""What an evaluation on X-rays of another place comes to: one sentence that says whether a model may be used there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xray_core.records import Interval

CHANCE = 0.5


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A model on the X-rays of one place. `is_wanting` says that it must not be used there."""

    place: str
    sentence: str
    is_wanting: bool


def judge_elsewhere(place: str, evaluation: Mapping[str, Any]) -> Elsewhere:
    """Judge a stored evaluation (`Evaluation.to_dict`) by where the 95 % interval of its AUROC lies from chance."""
    auroc = evaluation["figures"]["auroc"]
    whom = " and ".join(_say_patients(kind, evaluation[kind]) for kind in ("covid", "normal"))
    if auroc is None:
        return Elsewhere(place, f"On {place} it cannot be told how it ranks films ({whom}).", is_wanting=False)
    figure = Interval(**auroc)
    found = f"AUROC {figure} on {whom}"
    if figure.high < CHANCE:
        return Elsewhere(place, f"On {place} it ranks films backwards: {found}. Do not use it there.", is_wanting=True)
    if figure.low <= CHANCE:
        words = f"On {place} it ranks films no better than chance, as far as can be told: {found}. Do not use it there."
        return Elsewhere(place, words, is_wanting=True)
    return Elsewhere(place, f"On {place} it ranks films better than chance: {found}.", is_wanting=False)


def _say_patients(kind: str, count: Mapping[str, int]) -> str:
    unknown = count.get("unknown", 0)  # evaluations from before they were counted apart have none
    return f"{count['patients']} {kind} patients" + (f" (and {unknown} X-rays of unknown ones)" if unknown else "")
