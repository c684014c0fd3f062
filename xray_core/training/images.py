"""What a training learns from and is judged on: labelled X-rays, decoded once, on their sides of the frozen split."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from xray_core.errors import InvalidDataset
from xray_core.evaluation.shortcut_probes import AuditImages
from xray_core.imaging.records import ImageFacts, Preprocessing
from xray_core.networks.records import FEWEST_PATIENTS
from xray_core.processes.decoding import Decoded
from xray_core.processes.grey_rows import GreyRows, join_rows
from xray_core.processes.grey_store import GreyStore
from xray_core.processes.reading import Advance, Locate, read_xrays
from xray_core.processes.records import DecoderLimits
from xray_core.promotion.checks import check_films
from xray_core.promotion.judged_on import JudgedOn, count_judges, say_held
from xray_core.records import Label, LabelledXray, Split
from xray_core.training.duplicates.kept_pairs import find_pairs
from xray_core.training.implausible_patients import doubt_patients
from xray_core.training.split import TrainingSet, plan_training_set


@dataclass(frozen=True, slots=True)
class Side:
    """The X-rays of one side: grey levels, to be read as (n, height, width) uint8, beside what is known of each.

    `unremedied` are the same before the remedies, None where there is none.
    """

    images: GreyRows
    xrays: tuple[LabelledXray, ...]
    facts: tuple[ImageFacts, ...]
    unremedied: GreyRows | None = None

    @property
    def is_covid(self) -> NDArray[np.bool_]:
        """The truth, (n,)."""
        return np.array([xray.label is Label.COVID for xray in self.xrays], dtype=np.bool_)

    @property
    def groups(self) -> list[str]:
        """Whose each X-ray is, (n,)."""
        return [xray.group for xray in self.xrays]

    def count_patients(self) -> tuple[int, int]:
        """How many have a covid X-ray here, and how many another one."""
        both = zip(self.groups, self.is_covid.tolist(), strict=True)
        by_class = {(truth, group) for group, truth in both}
        covid = sum(truth for truth, _ in by_class)
        return covid, len(by_class) - covid

    @property
    def slices(self) -> dict[str, list[str]]:
        """What the figures are broken down by: one word per X-ray."""
        from xray_core.evaluation.slices import name_slices

        return name_slices(self.xrays)


@dataclass(frozen=True, slots=True)
class TrainingImages:
    """All sides, the plan behind them, and how many X-rays could not be read any more: by reason, and by side.

    Of the test side only what judges is here. What is abnormal but not covid trains as not covid, and judges apart, in
    `others`. `unread` leaves out those that a person has let go. `learned` are the sides that are learned from:
    validation too where a last layer is chosen by cross-validation. `excluded` counts those of a source left out.
    """

    plan: TrainingSet
    sides: dict[Split, Side]
    others: Side
    unreadable: dict[str, int]
    unread: dict[Split, int]
    preprocessing: Preprocessing
    learned: tuple[Split, ...] = (Split.TRAIN,)
    excluded: int = 0

    @property
    def learning(self) -> Side:
        """The X-rays that are learned from."""
        return join_sides([self.sides[split] for split in self.learned])

    @property
    def judged_on(self) -> JudgedOn:
        """Whose labels the test side judges by, and which of its films have no say."""
        return count_judges(self.plan.test, self.plan.count_held(Split.TEST), most=self.plan.most_judges)

    @property
    def for_audit(self) -> AuditImages:
        """All of them for the shortcut audit, side by side in the order of the split."""
        sides = [self.sides[split] for split in Split]
        return AuditImages(
            greys=join_rows([side.images for side in sides]),
            facts=tuple(facts for side in sides for facts in side.facts),
            is_covid=np.concatenate([side.is_covid for side in sides]),
            groups=np.array([group for side in sides for group in side.groups], dtype=np.str_),
            sources=np.array([xray.source or "" for side in sides for xray in side.xrays], dtype=np.str_),
            unremedied=_join([side.unremedied for side in sides]),
        )


def gather_images(
    limits: DecoderLimits,
    labelled: Sequence[LabelledXray],
    frozen: dict[str, Split],
    key: bytes,
    preprocessing: Preprocessing,
    *,
    used_before: frozenset[str],
    locate: Locate,
    unknown_may_judge: bool,
    most_judges: int | None = None,
    let_go: frozenset[str] = frozenset(),
    frozen_base: bool = False,
    store: GreyStore | None = None,
    on_progress: Advance = lambda _: None,
) -> TrainingImages:
    """Decode every labelled X-ray that no `store` holds, and put each on its patient's side.

    A film whose label does not count where it stands is left out with the reason. X-rays under one implausible
    patient id count as those of unknown patients. Near-duplicates are searched among all of them, so that no picture
    stands on two sides. `let_go` are the SHA-256s of films that a person knows to be gone. With a `frozen_base`
    training and validation side are learned from together. Raises InvalidDataset when a side lacks a class, or has too
    few patients for cross-validation then: nothing could be learned or judged.
    """
    trainable = [xray for xray in labelled if xray.counts]
    read = partial(read_xrays, limits, trainable, locate=locate, store=store, on_progress=on_progress)
    decoded, unreadable = read(preprocessing=preprocessing)
    unremedied = None
    if preprocessing.remedies:  # a second look, for the shortcut audit alone
        unremedied, _ = read(preprocessing=replace(preprocessing, remedies=()))
        decoded = {sha256: film for sha256, film in decoded.items() if sha256 in unremedied}
    labelled, doubted = doubt_patients(labelled)
    readable = [xray for xray in labelled if xray.counts and xray.sha256 in decoded]
    pairs = find_pairs(store, preprocessing, limits.chest_words, readable, decoded)
    plan_sides = partial(
        plan_training_set,
        frozen=frozen,
        key=key,
        duplicates=pairs,
        used_before=used_before,
        labelled=labelled,
        unknown_may_judge=unknown_may_judge,
        most_judges=most_judges,
    )
    plan = replace(plan_sides(readable), not_trainable=len(labelled) - len(trainable), doubted=doubted)
    counting, accounted_for = [xray for xray in labelled if xray.counts], decoded.keys() | let_go
    is_whole = all(xray.sha256 in accounted_for for xray in counting)
    unread = {} if is_whole else _count_unread(plan_sides(counting), accounted_for)
    of_classes = [xray for xray in plan.judging if xray.label is not Label.OTHER]
    chosen = {Split.TRAIN: plan.train, Split.VALIDATION: plan.validation, Split.TEST: of_classes}
    sides = {split: stack_side(xrays, decoded, preprocessing, unremedied) for split, xrays in chosen.items()}
    others = stack_side([xray for xray in plan.judging if xray.label is Label.OTHER], decoded, preprocessing)
    learned = (Split.TRAIN, Split.VALIDATION) if frozen_base else (Split.TRAIN,)
    images = TrainingImages(plan, sides, others, unreadable, unread, preprocessing, learned)
    problem = _find_too_few_patients(images.learning) if frozen_base else _find_one_class(images)
    if problem:
        films = "".join(f"; {check.words}" for check in check_films(unread))
        raise InvalidDataset(problem + films, public=True)
    return images


def _find_one_class(images: TrainingImages) -> str:
    """Which side lacks a class, and the way out; nothing where none does."""
    for split, side in images.sides.items():
        if side.is_covid.all() or not side.is_covid.any():
            return _say_too_few(split, side, images.plan)
    return ""


def _find_too_few_patients(learning: Side) -> str:
    """That too few patients of a class are there for cross-validation; nothing where they are enough."""
    covid, other = learning.count_patients()
    if min(covid, other) >= FEWEST_PATIENTS:
        return ""
    return (
        f"{covid} patients with covid and {other} without are there to learn from; a last layer and its "
        f"cross-validation need {FEWEST_PATIENTS} of each (a fifth of all patients is kept apart to judge): label more "
        "films of this site, `xray worklist` says which"
    )


def _count_unread(whole: TrainingSet, accounted_for: Set[str]) -> dict[Split, int]:
    """How many X-rays each side lacks of those that it would have if all could be read."""
    sides = {Split.TRAIN: whole.train, Split.VALIDATION: whole.validation, Split.TEST: whole.test}
    missing = {split: sum(xray.sha256 not in accounted_for for xray in xrays) for split, xrays in sides.items()}
    return {split: number for split, number in missing.items() if number}


def _say_too_few(split: Split, side: Side, plan: TrainingSet) -> str:
    """Which side lacks a class, and the way out."""
    sentence = (
        f"the {split.value} side has {int(side.is_covid.sum())} covid X-rays of {len(side.xrays)}; "
        "every side needs both classes: more patients are needed"
    )
    doubles = sum(item.is_double for item in plan.left_out)
    if plan.left_out:
        sentence += (
            f". {len(plan.left_out)} X-rays are left out, {doubles} of them for they show the same picture as one on "
            "another side"
        )
    sentence = "; ".join((sentence, *say_held(plan.count_held(split), f"of the {split} side left out")))
    if not plan.without_patient:
        return sentence
    return (
        f"{sentence}. Of {plan.without_patient} X-rays the patient is unknown, and they never judge: say whose they "
        "are (`--patients CSV`, `xray patients import CSV`), or let each count as a patient by "
        '`unknown_patients = "judge as a patient each"` in the retraining policy'
    )


def join_sides(sides: Sequence[Side]) -> Side:
    """The X-rays of several sides, one side after the other."""
    return Side(
        images=join_rows([side.images for side in sides]),
        xrays=tuple(xray for side in sides for xray in side.xrays),
        facts=tuple(facts for side in sides for facts in side.facts),
        unremedied=_join([side.unremedied for side in sides]),
    )


def stack_side(
    xrays: Sequence[LabelledXray],
    decoded: dict[str, Decoded],
    preprocessing: Preprocessing,
    unremedied: dict[str, Decoded] | None = None,
) -> Side:
    """The side of these X-rays in their order; all of them are decoded, by SHA-256."""
    size = (preprocessing.height, preprocessing.width)
    images, plain = (
        GreyRows(tuple(films[xray.sha256].grey for xray in xrays) if films else (), size)
        for films in (decoded, unremedied)
    )
    return Side(
        images=images,
        xrays=tuple(xrays),
        facts=tuple(decoded[xray.sha256].facts for xray in xrays),
        unremedied=None if unremedied is None else plain,
    )


def _join(parts: Sequence[GreyRows | None]) -> GreyRows | None:
    known = [part for part in parts if part is not None]
    return join_rows(known) if len(known) == len(parts) else None
