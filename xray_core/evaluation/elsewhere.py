"""What an evaluation on X-rays of another place comes to: one sentence that says whether a model may be used there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from xray_core.records import Interval

CHANCE = 0.5
# Of the X-rays: where the patients of more are unknown, figures by patient are figures by film; where the views of more
# are, those that are known say nothing of the rest.
MOST_UNKNOWN = 0.10
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
    def judges(self) -> bool:
        """Whether it tells, and is known of so many films that a model must be judged within it.

        That few films of known view seem to tell is mostly chance: of 20 in three views every second time.
        """
        return self.tells and self.known >= (1 - MOST_UNKNOWN) * self.xrays

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
        if not self.judges:
            return f"{mostly}: too few to judge by."
        if self.auroc is None:
            return f"{mostly}, and too few patients of both classes share one: disease and view cannot be told apart."
        return f"{mostly}: judge by pairs of one view, AUROC {self.auroc}."


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A model on the X-rays of one place. `is_wanting` says that it must not be used there."""

    place: str
    sentence: str
    is_wanting: bool


def find_judge(auroc: Interval, view: WithinView | None) -> Interval | None:
    """The AUROC that judges a model at a place: over all pairs, or over those of one view where that is the worse.

    The view can only make the judgement worse. None where a model does well over all pairs and no view is shared.
    """
    if view is None or not view.judges:
        return auroc
    if view.auroc is None:
        return auroc if auroc.low <= CHANCE else None

    def count_above_chance(found: Interval) -> tuple[int, float]:
        return sum(point > CHANCE for point in (found.low, found.value, found.high)), found.low

    return min(auroc, view.auroc, key=count_above_chance)


def judge_elsewhere(place: str, evaluation: Mapping[str, Any]) -> Elsewhere:
    """Judge a stored evaluation (`Evaluation.to_dict`) by where the 95 % interval of its AUROC lies from chance.

    Where the view of a film tells its class there, the AUROC over pairs of one view must be above chance too; whatever
    limits what can be told (views that nobody knows, films of unknown patients) is said.
    """
    whom = " and ".join(_say_patients(kind, evaluation[kind]) for kind in ("covid", "normal"))
    view = _read_view(evaluation.get("within_view"))
    found = evaluation["figures"]["auroc"]
    remarks = " ".join(filter(None, (_say_view(view), _say_unknown(evaluation))))
    if found is None:
        return Elsewhere(place, f"On {place} it cannot be told how it ranks films ({whom}).", is_wanting=False)
    auroc = Interval(**found)
    judge = find_judge(auroc, view)
    told = f"AUROC {auroc} on {whom}"
    if view is not None and view.judges and view.auroc is not None:
        told = f"over all pairs AUROC is {auroc}, over those of one view {view.auroc} on {whom}"
    if judge is None:
        sentence = f"On {place} it cannot be told how it ranks films: {told}."
    elif judge.high < CHANCE:
        sentence = f"On {place} it ranks films backwards: {told}. Do not use it there."
    elif judge.low <= CHANCE:
        sentence = (
            f"On {place} it ranks films no better than chance, as far as can be told: {told}. Do not use it there."
        )
    else:
        sentence = f"On {place} it ranks films better than chance: {told}."
    is_wanting = judge is not None and judge.low <= CHANCE
    return Elsewhere(place, " ".join(filter(None, (sentence, remarks))), is_wanting)


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
