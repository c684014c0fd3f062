"""The training set: a patient-level split by keyed hash that stays as it is while the data grows."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from xray_core.records import HELD_OUT, Label, LabelledXray, SideCount, Split, is_content_group, name_content_group

_SIDES = 2**64
_PROTECTED = {Split.TRAIN: 0, Split.VALIDATION: 1, Split.TEST: 2}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An X-ray with a trainable label that no side may have, and why, in words without patient data."""

    xray: LabelledXray
    reason: str
    is_double: bool = False


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """X-rays on their sides, ordered by SHA-256.

    `sides` holds every group of the set; those of it that were not frozen before are in `new_groups`, to be frozen
    now. `not_trainable` counts labels such as `unsure`; `without_patient` counts X-rays that were split by content
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
    doubted: int = 0

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
    held_out: float = HELD_OUT,
) -> TrainingSet:
    """Put every X-ray with a trainable label on its patient's side (pure).

    `frozen` holds the groups that were assigned before: they keep their side whatever the key or share says now.
    `duplicates` are pairs of SHA-256 of X-rays that show the same picture. Where the two stand on different sides
    one is left out, with a reason: the one that no training has used before (`used_before`, SHA-256s), so that
    nothing trained on ever comes back to judge; where that does not tell, the one on the side further from test.
    An X-ray that was split by content before its patient was known takes a new patient to its side; where the
    patient already stands on another one it is left out. A patient of whom any X-ray was trained on that way never
    judges; `labelled` are all X-rays that may have been, those that cannot be read or are not trained on any more
    included. X-rays of unknown patients stay off the test side unless `unknown_may_judge`: nobody can say that no
    other X-ray of that person was trained on.
    """
    trainable = sorted((xray for xray in xrays if xray.label.is_trainable), key=lambda xray: xray.sha256)
    known = [*trainable, *labelled]
    sides = _choose_sides(known, frozen, key, held_out)
    if not unknown_may_judge:
        sides = {group: _off_the_test_side(group, side, frozen) for group, side in sides.items()}
    moved = _leave_out_moved(trainable, frozen, sides)
    still_there = [xray for xray in trainable if xray.sha256 not in {item.xray.sha256 for item in moved}]
    moved += _keep_from_judging(still_there, sides, _find_trained_on(known, frozen), unknown_may_judge)
    staying = [xray for xray in trainable if xray.sha256 not in {item.xray.sha256 for item in moved}]
    left_out = (*moved, *_leave_out_straddling(staying, sides, duplicates, used_before))
    gone = {item.xray.sha256 for item in left_out}
    kept = [xray for xray in trainable if xray.sha256 not in gone]
    by_side = {split: tuple(xray for xray in kept if sides[xray.group] is split) for split in Split}
    return TrainingSet(
        train=by_side[Split.TRAIN],
        validation=by_side[Split.VALIDATION],
        test=by_side[Split.TEST],
        left_out=left_out,
        sides=sides,
        new_groups={xray.group: sides[xray.group] for xray in trainable if xray.group not in frozen},
        counts=tuple(_count(by_side[split], split, label) for split in Split for label in (Label.COVID, Label.NORMAL)),
        not_trainable=len(xrays) - len(trainable),
        without_patient=sum(not xray.patient_known for xray in trainable),
        label_set_sha256=digest_label_set(trainable),
    )


def digest_label_set(xrays: Iterable[LabelledXray]) -> str:
    """The SHA-256 of the set of (content, label) of the trainable X-rays, in whatever order they come.

    Two trainings with the same digest would learn from the same labels, so there is only ever one.
    """
    lines = sorted(f"{xray.sha256} {xray.label.value}\n" for xray in xrays if xray.label.is_trainable)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _choose_sides(
    xrays: Sequence[LabelledXray], frozen: Mapping[str, Split], key: bytes, held_out: float
) -> dict[str, Split]:
    """Every group's side: the frozen one, else that of its X-rays before it was known whose they are, else by the key.

    Of several such sides training wins: what was trained on must not judge.
    """
    before: dict[str, Split] = {}
    for xray in xrays:
        stood = _find_former_side(xray, frozen)
        if stood is not None and (xray.group not in before or _PROTECTED[stood] < _PROTECTED[before[xray.group]]):
            before[xray.group] = stood
    return {
        xray.group: frozen.get(xray.group) or before.get(xray.group) or assign_split(xray.group, key, held_out)
        for xray in xrays
    }


def _find_former_side(xray: LabelledXray, frozen: Mapping[str, Split]) -> Split | None:
    """Where it stood while its patient was unknown or another one; of several sides the one nearest to training."""
    before = (name_content_group(xray.sha256), *xray.former_groups)
    sides = [frozen[group] for group in before if group in frozen and group != xray.group]
    return min(sides, key=_PROTECTED.__getitem__, default=None)


def _leave_out_moved(
    xrays: Sequence[LabelledXray], frozen: Mapping[str, Split], sides: Mapping[str, Split]
) -> tuple[LeftOut, ...]:
    """X-rays that stood on another side before their patient was known, or corrected."""
    moved: list[LeftOut] = []
    for xray in xrays:
        stood = _find_former_side(xray, frozen)
        if stood is not None and stood is not sides[xray.group]:
            became = "corrected" if xray.former_groups else "known"
            reason = (
                f"stood on the {stood} side before its patient was {became}, who stands on the {sides[xray.group]} side"
            )
            moved.append(LeftOut(xray, reason))
    return tuple(moved)


def _find_trained_on(xrays: Iterable[LabelledXray], frozen: Mapping[str, Split]) -> set[str]:
    """The patients of whom an X-ray stood on the training or validation side before it was known whose it is."""
    return {
        xray.group
        for xray in xrays
        if xray.patient_known and _find_former_side(xray, frozen) in (Split.TRAIN, Split.VALIDATION)
    }


def _off_the_test_side(group: str, side: Split, frozen: Mapping[str, Split]) -> Split:
    """An X-ray of an unknown patient that would come to the test side now is trained on."""
    is_new = side is Split.TEST and group not in frozen and is_content_group(group)
    return Split.TRAIN if is_new else side


def _keep_from_judging(
    xrays: Sequence[LabelledXray], sides: Mapping[str, Split], trained_on: Collection[str], unknown_may_judge: bool
) -> tuple[LeftOut, ...]:
    """X-rays of the test side whose patient is unknown, or has been trained on before anybody knew whose that was."""
    kept_out: list[LeftOut] = []
    for xray in xrays:
        if sides[xray.group] is not Split.TEST:
            continue
        if xray.group in trained_on:
            reason = "its patient was trained on before the patient was known: it never judges"
            kept_out.append(LeftOut(xray, reason))
        elif not xray.patient_known and not unknown_may_judge:
            kept_out.append(LeftOut(xray, "stands on the test side and its patient is unknown: it never judges"))
    return tuple(kept_out)


def _leave_out_straddling(
    xrays: Sequence[LabelledXray],
    sides: Mapping[str, Split],
    duplicates: Iterable[tuple[str, str]],
    used_before: Collection[str],
) -> tuple[LeftOut, ...]:
    by_sha256 = {xray.sha256: xray for xray in xrays}
    left_out: dict[str, LeftOut] = {}
    for pair in sorted(tuple(sorted(pair)) for pair in duplicates):
        if pair[0] not in by_sha256 or pair[1] not in by_sha256 or not left_out.keys().isdisjoint(pair):
            continue
        leaves, stays = sorted(
            (by_sha256[sha256] for sha256 in pair),
            key=lambda xray: (xray.sha256 in used_before, _PROTECTED[sides[xray.group]]),
        )
        if sides[leaves.group] is not sides[stays.group]:
            reason = (
                f"the same picture as {stays.sha256[:12]}, which stands on the {sides[stays.group]} side; "
                f"this one would be on the {sides[leaves.group]} side"
            )
            left_out[leaves.sha256] = LeftOut(leaves, reason, is_double=True)
    return tuple(left_out[sha256] for sha256 in sorted(left_out))


def _count(xrays: Sequence[LabelledXray], split: Split, label: Label) -> SideCount:
    counted = [xray for xray in xrays if xray.label is label]
    patients = {xray.group for xray in counted if not is_content_group(xray.group)}
    unknown = sum(is_content_group(xray.group) for xray in counted)
    return SideCount(split, label, xrays=len(counted), patients=len(patients), unknown=unknown)
