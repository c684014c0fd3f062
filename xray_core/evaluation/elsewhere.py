"""What an evaluation on X-rays of another place comes to: one sentence that says whether a model may be used there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from xray_core.records import Interval

CHANCE = 0.5
MOST_UNKNOWN = 0.10  # of the X-rays: beyond it figures by patient are figures by film
_NO_VIEWS = "Whether the view of a film tells its class there is not known."


# From here on the view says so much of the class that a model may have learned the view: 65 of 100 pairs.
_TELLS: Final = 0.65


@dataclass(frozen=True, slots=True)
class WithinView:
    """What the view has to do with the figures.

    Of `xrays` the view is `known` of so many. `view_alone` is the AUROC (0.5..1) of ranking those by the share of
    covid in their view: the most that knowing nothing but the view can give here. `auroc` is the model's over pairs of
    a covid and a normal film of one view. Both are None where no such films are known.
    """

    xrays: int
    known: int
    view_alone: float | None
    auroc: Interval | None

    @property
    def tells(self) -> bool:
        """Whether films of one class are mostly of one view."""
        return self.view_alone is not None and self.view_alone >= _TELLS

    @property
    def sentence(self) -> str:
        """What must be said beside the AUROC."""
        unknown = self.xrays - self.known
        if self.view_alone is None:
            known = f"The view is known of {self.known} of {self.xrays} X-rays"
            return f"{known}{', all of one class' if self.known else ''}: whether it tells the class cannot be told."
        among = "" if not unknown else f", known of {self.known} of {self.xrays} X-rays,"
        if not self.tells:
            return f"The view{among} hardly tells the class by itself (AUROC {self.view_alone:.2f})."
        mostly = f"The view{among} tells the class by itself (AUROC {self.view_alone:.2f})"
        if self.auroc is None:
            return f"{mostly}, and too few patients of both classes share one: disease and view cannot be told apart."
        return f"{mostly}: judge by pairs of one view, AUROC {self.auroc}."


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A model on the X-rays of one place. `is_wanting` says that it must not be used there."""

    place: str
    sentence: str
    is_wanting: bool


def judge_elsewhere(place: str, evaluation: Mapping[str, Any]) -> Elsewhere:
    """Judge a stored evaluation (`Evaluation.to_dict`) by where the 95 % interval of its AUROC lies from chance.

    Where the view of a film tells its class there, the AUROC over pairs of one view judges; whatever limits what can be
    told (views that nobody knows, films of unknown patients) is said.
    """
    whom = " and ".join(_say_patients(kind, evaluation[kind]) for kind in ("covid", "normal"))
    view = _read_view(evaluation.get("within_view"))
    found = evaluation["figures"]["auroc"]
    remarks = " ".join(filter(None, (_say_view(view), _say_unknown(evaluation))))
    if found is None:
        return Elsewhere(place, f"On {place} it cannot be told how it ranks films ({whom}).", is_wanting=False)
    auroc, words = Interval(**found), "AUROC"
    if view is not None and view.tells and view.auroc is not None:
        auroc, words = view.auroc, f"over all pairs AUROC is {auroc}, over those of one view"
    told = f"{words} {auroc} on {whom}"
    if auroc.high < CHANCE:
        sentence = f"On {place} it ranks films backwards: {told}. Do not use it there."
    elif auroc.low <= CHANCE:
        sentence = (
            f"On {place} it ranks films no better than chance, as far as can be told: {told}. Do not use it there."
        )
    elif view is not None and view.tells and view.auroc is None:
        sentence = f"On {place} it cannot be told how it ranks films: {told}."
    else:
        sentence = f"On {place} it ranks films better than chance: {told}."
    return Elsewhere(place, " ".join(filter(None, (sentence, remarks))), is_wanting=auroc.low <= CHANCE)


def _read_view(kept: Mapping[str, Any] | None) -> WithinView | None:
    if kept is None:
        return None
    auroc = kept["auroc"]
    return WithinView(kept["xrays"], kept["known"], kept["view_alone"], None if auroc is None else Interval(**auroc))


def _say_view(view: WithinView | None) -> str:
    """What the view may have to do with it; nothing where all views are known and hardly tell the class."""
    if view is None:
        return _NO_VIEWS
    return view.sentence if view.tells or view.known < view.xrays else ""


def _say_unknown(evaluation: Mapping[str, Any]) -> str:
    """That films count as patients, where those of unknown ones are more than a tenth."""
    unknown = sum(evaluation[kind].get("unknown", 0) for kind in ("covid", "normal"))
    xrays = sum(evaluation[kind]["xrays"] for kind in ("covid", "normal"))
    if unknown <= MOST_UNKNOWN * xrays:
        return ""
    return (
        f"{unknown} of {xrays} X-rays are of unknown patients and count as one each, so the interval may be too "
        "narrow: `--patients CSV` says whose they are."
    )


def _say_patients(kind: str, count: Mapping[str, int]) -> str:
    unknown = count.get("unknown", 0)  # evaluations from before they were counted apart have none
    if unknown and not count["patients"]:
        return f"{unknown} {kind} X-rays of unknown patients"
    return f"{count['patients']} {kind} patients" + (f" (and {unknown} X-rays of unknown ones)" if unknown else "")
