"""What readers changed once they had seen the model's score, and whether it led them astray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xray_core.reading.records import ReaderRole, Reading
from xray_core.records import Label, Outcome


@dataclass(frozen=True, slots=True)
class RevealEffect:
    """Of `revealed` films `changed` got another verdict, `towards` what the model had said, covid or not.

    Of those, what others say of the film (an adjudicator, else every other reader) is against the change in `wrongly`,
    for it in `rightly`, and unknown in the rest.
    """

    revealed: int
    changed: int
    towards: int
    wrongly: int
    rightly: int

    @property
    def sentence(self) -> str:
        """As it is told: `of 60 revealed, 5 changed, 4 towards the model: 3 wrongly`."""
        if not self.revealed:
            return "no score was revealed yet"
        told = f"of {self.revealed} revealed, {self.changed} changed, {self.towards} towards the model"
        unknown = self.towards - self.wrongly - self.rightly
        parts = [f"{self.wrongly} wrongly", *([f"{self.rightly} rightly"] if self.rightly else [])]
        parts += [f"{unknown} nobody else has read"] if unknown else []
        return f"{told}: {', '.join(parts)}" if self.towards else told


def says_covid(label: Label | None) -> bool | None:
    """Whether a label says covid, None for one that says neither."""
    return {Label.COVID: True, Label.NORMAL: False, Label.OTHER: False}.get(label) if label else None


def measure_reveal_effect(
    readings: Sequence[Reading], blind: Mapping[str, Mapping[int, Reading]], adjudicated: Mapping[int, Label]
) -> RevealEffect:
    """Count over all films whose score a list revealed; readings oldest first, `blind` and `adjudicated` by X-ray."""
    first: dict[int, Reading] = {}
    last: dict[int, Reading] = {}
    for one in readings:
        if one.item_id is None or not one.reveal or one.role is not ReaderRole.READER:
            continue
        (last if one.score_visible else first)[one.item_id] = one
    changed = [(one, last[item]) for item, one in first.items() if item in last and last[item].label != one.label]
    towards = [(before, after) for before, after in changed if _is_towards(before, after)]
    verdicts = [(says_covid(after.label), says_covid(_ask_others(after, blind, adjudicated))) for _, after in towards]
    wrongly = sum(truth is not None and truth is not said for said, truth in verdicts)
    rightly = sum(truth is not None and truth is said for said, truth in verdicts)
    return RevealEffect(len(first), len(changed), len(towards), wrongly, rightly)


def _is_towards(before: Reading, after: Reading) -> bool:
    if after.shown not in (Outcome.POSITIVE, Outcome.NEGATIVE):
        return False
    model = after.shown is Outcome.POSITIVE
    return says_covid(before.label) is not model and says_covid(after.label) is model


def _ask_others(
    one: Reading, blind: Mapping[str, Mapping[int, Reading]], adjudicated: Mapping[int, Label]
) -> Label | None:
    """What those say who did not see the score: an adjudicator, else all other readers where they are of one mind."""
    if one.xray_id in adjudicated:
        return adjudicated[one.xray_id]
    others = {
        films[one.xray_id].label for reader, films in blind.items() if reader != one.reader and one.xray_id in films
    }
    return others.pop() if len(others) == 1 else None
