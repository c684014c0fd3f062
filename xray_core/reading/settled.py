"""What several readers said of a film, settled; derived each time it is asked, never stored."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile

from xray_core.promotion.policy import LabelRules
from xray_core.reading.records import LabelSource, ListPurpose, Opinion, ReaderRole, Reading, fold_name
from xray_core.records import Held, Label, Reference, Standard


class Settlement(StrEnum):
    """How far a film's label is settled."""

    AGREED = "agreed"
    SINGLE = "single"
    DISPUTED = "disputed"
    ADJUDICATED = "adjudicated"


@dataclass(frozen=True, slots=True)
class SettledLabel:
    """The label that a film trains by, unless `held` says why it does not, and what it judges by on the test side."""

    label: Label
    held: Held | None
    reference: Reference


def settle(opinions: Iterable[Opinion]) -> Settlement:
    """How far the opinions on one film settle it, oldest first.

    The newest of each reader counts, whatever the case and blanks of the name; those without a name are one reader,
    as they were before readers had names. An adjudicator has the last word, and so has a second reading by all who
    disagreed. Raises ValueError without an opinion.
    """
    opinions = list(opinions)
    if not opinions:
        raise ValueError("received no opinion; expected at least one")
    newest = find_newest(opinions)
    if find_adjudicated(opinions) is not None:
        return Settlement.ADJUDICATED
    if len(newest) == 1:
        return Settlement.SINGLE
    return Settlement.AGREED if len({one.label for one in newest.values()}) == 1 else Settlement.DISPUTED


def find_adjudicated(opinions: Iterable[Opinion]) -> Label | None:
    """What an adjudicator said last; else `unsure` where all who disagree have read the film again, and still do."""
    opinions = list(opinions)
    last_words = [one.label for one in opinions if one.role is ReaderRole.ADJUDICATOR]
    if last_words:
        return last_words[-1]
    newest = find_newest(opinions)
    is_disputed = len({one.label for one in newest.values()}) > 1
    return Label.UNSURE if is_disputed and newest.keys() - {""} <= find_read_again(opinions) else None


def find_settled(opinions: Iterable[Opinion]) -> Label | None:
    """The label that the opinions on a film come to, None while it is disputed."""
    opinions = list(opinions)
    said = {one.label for one in find_newest(opinions).values()}
    return find_adjudicated(opinions) or (said.pop() if len(said) == 1 else None)


def settle_blind(readings: Iterable[Reading]) -> dict[int, Label | None]:
    """What each film (by its X-ray's id) is settled as by those alone who had seen no score, None while it is disputed.

    Readings come oldest first.
    """
    films: defaultdict[int, list[Opinion]] = defaultdict(list)
    for one in readings:
        if one.score_visible is False:
            again = one.purpose is ListPurpose.AGAIN
            films[one.xray_id].append(Opinion(one.reader, one.role, one.label, again=again))
    return {xray_id: find_settled(opinions) for xray_id, opinions in films.items()}


def find_newest(opinions: Iterable[Opinion]) -> dict[str, Opinion]:
    """The newest opinion of each reader (by the folded name, empty for those without one), adjudicators left out."""
    return {fold_name(one.reader or ""): one for one in opinions if one.role is ReaderRole.READER}


def find_read_again(opinions: Iterable[Opinion]) -> set[str]:
    """Who has read the film anew after a dispute, by the folded name."""
    return {fold_name(one.reader or "") for one in opinions if one.again}


def count_settlements(films: Mapping[int, Iterable[Opinion]]) -> dict[str, int]:
    """How many films are settled in which way; every way has its number."""
    return count_settled(Counter(tuple(opinions) for opinions in films.values()))


def count_settled(said: Mapping[tuple[Opinion, ...], int]) -> dict[str, int]:
    """The same by how many films the same was said of."""
    counts = {settlement.value: 0 for settlement in Settlement}
    for opinions, number in said.items():
        counts[settle(opinions).value] += number
    return counts


def settle_label(opinions: Sequence[Opinion], rules: LabelRules, *, read_whole: bool = False) -> SettledLabel:
    """The label of a film by the opinions on it, oldest first, and by the policy's rules.

    It trains by all of them and judges by those that the model can have had no say in, where `blind_test_side` asks
    for it, and only where no score chose the film for reading, where `chance_test_side` asks for that; `read_whole`
    says that every film which came in up to this one was read, whatever chose it. Who says that a picture is no film to
    judge by need not be blind: an `exclude` that stands judges nothing.
    Raises ValueError without an opinion.
    """
    label, held = _decide(opinions, rules)
    if held is None and label is Label.EXCLUDE:
        return SettledLabel(label, None, Reference(None))
    if held is None and label is Label.OTHER and not rules.other_trains:
        held = Held.OTHER
    reference = _find_reference(opinions, rules)
    was_chosen = rules.chance_test_side and not read_whole and not _is_drawn(opinions)
    if was_chosen and reference.label is not None:
        reference = Reference(None, held=Held.CHOSEN)
    return SettledLabel(label, held, reference)


def _is_drawn(opinions: Sequence[Opinion]) -> bool:
    """Whether no score had a say in that the film was read.

    A blind reader's file says nothing of how its films were chosen: it counts, unless a score chose the film before.
    """
    if any(opinion.by_chance for opinion in opinions):
        return True
    unscored = takewhile(lambda opinion: not opinion.by_score, opinions)
    return any(opinion.is_blind and opinion.chosen_for is None for opinion in unscored)


def _find_reference(opinions: Sequence[Opinion], rules: LabelRules) -> Reference:
    judging = [opinion for opinion in opinions if opinion.is_blind or not rules.blind_test_side]
    if not judging:
        seen = any(opinion.score_visible for opinion in opinions)
        return Reference(None, held=Held.VISIBLE if seen else Held.UNTOLD)
    label, held = _decide(judging, rules)
    if held is None and not label.is_trainable:
        held = Held.UNSURE
    return Reference(None, held=held) if held else Reference(label, _name_standard(judging, label))


def _decide(opinions: Sequence[Opinion], rules: LabelRules) -> tuple[Label, Held | None]:
    """The label that counts, or the newest and why it does not."""
    adjudicated, latest = find_adjudicated(opinions), opinions[-1].label
    if adjudicated is not None:
        return adjudicated, None
    if settle(opinions) is Settlement.DISPUTED:
        return latest, Held.DISPUTED if rules.hold_disputes else None
    says_a_dataset = any(opinion.source is LabelSource.DATASET and opinion.label is latest for opinion in opinions)
    if len(find_newest(opinions)) < rules.readers_per_film and not says_a_dataset:
        return latest, Held.WAITING
    return latest, None


def _name_standard(opinions: Sequence[Opinion], label: Label) -> Standard:
    """Who stands behind a label that was decided on."""
    if not all(opinion.is_blind for opinion in opinions):
        return Standard.READERS
    if settle(opinions) is Settlement.ADJUDICATED:
        return Standard.ADJUDICATED
    behind = [opinion for opinion in opinions if opinion.label is label]
    readers = {fold_name(opinion.reader or "") for opinion in behind if opinion.source is not LabelSource.DATASET}
    if len(readers) > 1:
        return Standard.TWO_BLINDED
    from_dataset = any(opinion.source is LabelSource.DATASET for opinion in behind)
    return Standard.DATASET if from_dataset else Standard.ONE_BLINDED
