"""The training set: a patient-level split by keyed hash that stays as it is while the data grows."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from xray_core.promotion.judging_sample import draw_judges
from xray_core.records import (
    HELD_OUT,
    ONE_EACH,
    Held,
    Label,
    LabelledXray,
    SideCount,
    Split,
    is_content_group,
)
from xray_core.training.left_out import (
    PROTECTED,
    LeftOut,
    find_former_side,
    find_trained_on,
    keep_from_judging,
    leave_out_held,
    leave_out_moved,
    leave_out_straddling,
)

_SIDES = 2**64


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """X-rays on their sides, ordered by SHA-256; those of the test side carry the label that they judge by.

    `sides` holds every group of the set; those of it that were not frozen before are in `new_groups`, to be frozen
    now. `judging` are those of the test side that judge: all, or a sample where a class has more than `most_judges`
    patients. `not_trainable` counts labels such as `unsure`; `without_patient` counts X-rays that were split by content
    because nobody knows their patient, `doubted` those of them that carry an implausible id.
    """

    train: tuple[LabelledXray, ...]
    validation: tuple[LabelledXray, ...]
    test: tuple[LabelledXray, ...]
    left_out: tuple[LeftOut, ...]
    sides: Mapping[str, Split]
    new_groups: Mapping[str, Split]
    counts: tuple[SideCount, ...]
    not_trainable: int
    without_patient: int
    label_set_sha256: str
    judging: tuple[LabelledXray, ...]
    most_judges: int | None = None
    doubted: int = 0

    @property
    def of_classes(self) -> Iterator[LabelledXray]:
        """The X-rays of all sides but those of the test side that are labelled other, for these judge apart."""
        yield from (*self.train, *self.validation)
        yield from (xray for xray in self.test if xray.label is not Label.OTHER)

    def count_held(self, *sides: Split, numbers: Mapping[int, int] = ONE_EACH) -> dict[Held, int]:
        """How many X-rays of these sides have a label that does not count there, by reason.

        One whose id is among `numbers` stands for so many that are alike.
        """
        held: Counter[Held | None] = Counter()
        for item in self.left_out:
            held[item.held] += numbers.get(item.xray.xray_id, 1) if item.side in sides else 0
        return {reason: held[reason] for reason in Held if held[reason]}

    def count(self, split: Split, label: Label) -> SideCount:
        """The count of one side and class."""
        return next(c for c in self.counts if c.split is split and c.label is label)


def assign_split(group: str, key: bytes, held_out: float = HELD_OUT) -> Split:
    """The side that a patient's group belongs to, by a keyed hash of the group and of nothing else.

    So it never depends on who else is there or in which order they came, and without the key nobody can tell it
    from a patient's number. Half of `held_out` (0..1) goes to validation, half to test. A smaller `held_out` moves
    groups to training only. The key is 16 to 64 bytes; raises ValueError otherwise.
    """
    if not 16 <= len(key) <= 64 or not 0 <= held_out < 1:
        raise ValueError(
            f"received a key of {len(key)} bytes and held_out {held_out}; expected 16 to 64 and 0 <= x < 1"
        )
    digest = hashlib.blake2b(group.encode(), key=key, digest_size=8, person=b"xray split v1").digest()
    place = int.from_bytes(digest) / _SIDES
    if place < held_out / 2:
        return Split.TEST
    return Split.VALIDATION if place >= 1 - held_out / 2 else Split.TRAIN


def plan_training_set(
    xrays: Sequence[LabelledXray],
    frozen: Mapping[str, Split],
    key: bytes,
    *,
    duplicates: Iterable[tuple[str, str]] = (),
    used_before: Collection[str] = frozenset(),
    labelled: Sequence[LabelledXray] = (),
    unknown_may_judge: bool = False,
    most_judges: int | None = None,
    held_out: float = HELD_OUT,
) -> TrainingSet:
    """Put every X-ray whose label may count on its patient's side (pure).

    On the test side the label that it judges by counts, on the others the one that it trains by.

    `frozen` holds the groups that were assigned before: they keep their side whatever the key or share says now.
    `duplicates` are pairs of SHA-256 of X-rays that show the same picture. Where the two stand on different sides
    one is left out, with a reason: the one that no training has used before (`used_before`, SHA-256s), so that
    nothing trained on ever comes back to judge; where that does not tell, the one on the side further from test.
    An X-ray that was split by content before its patient was known takes a new patient to its side; where the
    patient already stands on another one it is left out. A patient of whom any X-ray was trained on that way never
    judges; `labelled` are all X-rays that may have been, those that cannot be read or are not trained on any more
    included. X-rays of unknown patients stay off the test side unless `unknown_may_judge`: nobody can say that no
    other X-ray of that person was trained on. Of a class with more than `most_judges` patients on the test side so many
    judge, and the others wait there.
    """
    trainable = sorted((xray for xray in xrays if xray.counts), key=lambda xray: xray.sha256)
    known = [*trainable, *labelled]
    sides = _choose_sides(known, frozen, key, held_out)
    if not unknown_may_judge:
        sides = {group: _off_the_test_side(group, side, frozen) for group, side in sides.items()}
    moved = leave_out_moved(trainable, frozen, sides)
    moved += keep_from_judging(_without(trainable, moved), sides, find_trained_on(known, frozen), unknown_may_judge)
    moved += leave_out_held(_without(trainable, moved), sides)
    left_out = (*moved, *leave_out_straddling(_without(trainable, moved), sides, duplicates, used_before))
    kept = [_with_label_of(xray, sides[xray.group]) for xray in _without(trainable, left_out)]
    by_side = {split: tuple(xray for xray in kept if sides[xray.group] is split) for split in Split}
    test = by_side[Split.TEST]
    judges = sides if most_judges is None else draw_judges(test, key, most_judges)
    return TrainingSet(
        train=by_side[Split.TRAIN],
        validation=by_side[Split.VALIDATION],
        test=test,
        left_out=left_out,
        sides=sides,
        new_groups={xray.group: sides[xray.group] for xray in trainable if xray.group not in frozen},
        counts=tuple(_count_side(by_side)),
        not_trainable=len(xrays) - len(trainable),
        without_patient=sum(not xray.patient_known for xray in trainable),
        label_set_sha256=digest_label_set(trainable),
        judging=tuple(xray for xray in test if xray.group in judges),
        most_judges=most_judges,
    )


def _without(xrays: Sequence[LabelledXray], left_out: Iterable[LeftOut]) -> list[LabelledXray]:
    gone = {item.xray.sha256 for item in left_out}
    return [xray for xray in xrays if xray.sha256 not in gone]


def _with_label_of(xray: LabelledXray, side: Split) -> LabelledXray:
    label = xray.label_on(side) or xray.label
    return xray if label is xray.label else replace(xray, label=label)


def digest_label_set(xrays: Iterable[LabelledXray]) -> str:
    """The SHA-256 of the set of (content, label) of the X-rays that count, in whatever order they come.

    Two trainings with the same digest would learn from the same labels and be judged by the same ones, so there is
    only ever one.
    """
    lines = sorted(f"{xray.sha256} {_sign_label(xray)}\n" for xray in xrays if xray.trains or xray.judges)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _sign_label(xray: LabelledXray) -> str:
    """One word where an X-ray trains and judges by the same label, else both."""
    trains = xray.label.value if xray.trains else "-"
    judging = xray.judges_by.label if xray.judges else None
    return trains if xray.trains and judging is xray.label else f"{trains} {judging or '-'}"


def _choose_sides(
    xrays: Sequence[LabelledXray], frozen: Mapping[str, Split], key: bytes, held_out: float
) -> dict[str, Split]:
    """Every group's side: the frozen one, else that of its X-rays before it was known whose they are, else by the key.

    Of several such sides training wins: what was trained on must not judge.
    """
    before: dict[str, Split] = {}
    for xray in xrays:
        stood = find_former_side(xray, frozen)
        if stood is not None and (xray.group not in before or PROTECTED[stood] < PROTECTED[before[xray.group]]):
            before[xray.group] = stood
    return {
        xray.group: frozen.get(xray.group) or before.get(xray.group) or assign_split(xray.group, key, held_out)
        for xray in xrays
    }


def _off_the_test_side(group: str, side: Split, frozen: Mapping[str, Split]) -> Split:
    """An X-ray of an unknown patient that would come to the test side now is trained on."""
    is_new = side is Split.TEST and group not in frozen and is_content_group(group)
    return Split.TRAIN if is_new else side


def _count_side(by_side: Mapping[Split, Sequence[LabelledXray]]) -> Iterator[SideCount]:
    """Both classes of every side, and what is abnormal but not covid where there is any."""
    for split in Split:
        for label in (Label.COVID, Label.NORMAL, Label.OTHER):
            count = _count(by_side[split], split, label)
            if count.xrays or label is not Label.OTHER:
                yield count


def _count(xrays: Sequence[LabelledXray], split: Split, label: Label) -> SideCount:
    counted = [xray for xray in xrays if xray.label is label]
    patients = {xray.group for xray in counted if not is_content_group(xray.group)}
    unknown = sum(is_content_group(xray.group) for xray in counted)
    return SideCount(split, label, xrays=len(counted), patients=len(patients), unknown=unknown)
