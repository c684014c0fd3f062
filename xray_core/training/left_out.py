"""Labelled X-rays that no side of the split may have, and why; nothing is left out without a word."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from xray_core.errors import RefusedInput
from xray_core.records import FolderKind, Held, LabelledXray, Split, name_content_group

if TYPE_CHECKING:
    from xray_core.networks.options import TrainingOptions

# The nearer to training, the smaller: what was trained on must not judge.
PROTECTED = {Split.TRAIN: 0, Split.VALIDATION: 1, Split.TEST: 2}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An X-ray with a trainable label that no side may have, and why, in words without patient data.

    `side` is where it would stand, `held` why its label does not count there.
    """

    xray: LabelledXray
    reason: str
    is_double: bool = False
    side: Split | None = None
    held: Held | None = None


def find_former_side(xray: LabelledXray, frozen: Mapping[str, Split]) -> Split | None:
    """Where it stood while its patient was unknown or another one; of several sides the one nearest to training."""
    content = name_content_group(xray.sha256)
    if not xray.former_groups:  # nearly every film, and a plan asks five times
        return None if content == xray.group else frozen.get(content)
    before = (content, *xray.former_groups)
    sides = [frozen[group] for group in before if group in frozen and group != xray.group]
    return min(sides, key=PROTECTED.__getitem__, default=None)


def leave_out_moved(
    xrays: Sequence[LabelledXray], frozen: Mapping[str, Split], sides: Mapping[str, Split]
) -> tuple[LeftOut, ...]:
    """X-rays that stood on another side before their patient was known, or corrected."""
    moved: list[LeftOut] = []
    for xray in xrays:
        stood = find_former_side(xray, frozen)
        if stood is not None and stood is not sides[xray.group]:
            became = "corrected" if xray.former_groups else "known"
            reason = (
                f"stood on the {stood} side before its patient was {became}, who stands on the {sides[xray.group]} side"
            )
            moved.append(LeftOut(xray, reason))
    return tuple(moved)


def find_trained_on(xrays: Iterable[LabelledXray], frozen: Mapping[str, Split]) -> set[str]:
    """The patients of whom an X-ray stood on the training or validation side before it was known whose it is."""
    return {
        xray.group
        for xray in xrays
        if xray.patient_known and find_former_side(xray, frozen) in (Split.TRAIN, Split.VALIDATION)
    }


def keep_from_judging(
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


def leave_out_held(xrays: Sequence[LabelledXray], sides: Mapping[str, Split]) -> tuple[LeftOut, ...]:
    """X-rays whose label does not count where they stand: it is not settled, or not blind enough to judge."""
    held: list[LeftOut] = []
    for xray in xrays:
        side = sides[xray.group]
        if xray.label_on(side) is not None:
            continue
        why = xray.judges_by.held if side is Split.TEST else xray.held
        verb = "judges" if side is Split.TEST else "is trained on"
        reason = f"would stand on the {side} side, but {why or 'is labelled unsure'}: it never {verb} so"
        held.append(LeftOut(xray, reason, side=side, held=why))
    return tuple(held)


def leave_out_straddling(
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
            key=lambda xray: (xray.sha256 in used_before, PROTECTED[sides[xray.group]]),
        )
        if sides[leaves.group] is not sides[stays.group]:
            reason = (
                f"the same picture as {stays.sha256[:12]}, which stands on the {sides[stays.group]} side; "
                f"this one would be on the {sides[leaves.group]} side"
            )
            left_out[leaves.sha256] = LeftOut(leaves, reason, is_double=True)
    return tuple(left_out[sha256] for sha256 in sorted(left_out))


@dataclass(frozen=True, slots=True)
class FilmChoice:
    """Which of the labelled films a training takes; all of them by default.

    `own_labels` takes films that arrived at this site and were not given as a dataset.

    Films of `excluded_sources` are left out.
    """

    own_labels: bool = False
    excluded_sources: tuple[str, ...] = ()

    def choose(self, labelled: Iterable[LabelledXray]) -> list[LabelledXray]:
        """Those of the films that are taken, in their order."""
        return [
            xray
            for xray in labelled
            if xray.source not in self.excluded_sources
            and not (self.own_labels and xray.path.kind is FolderKind.DATASET)
        ]

    def count_excluded(self, labelled: Iterable[LabelledXray]) -> int:
        """How many labelled films are left out for their source alone."""
        return sum(xray.counts and xray.source in self.excluded_sources for xray in labelled)


ALL_FILMS: Final = FilmChoice()


def find_choice(options: TrainingOptions) -> FilmChoice:
    """What a training with these options takes."""
    return FilmChoice(options.own_labels, options.excluded_sources)


def read_choice(training: Mapping[str, object]) -> FilmChoice:
    """What the training of a model took, by the `training` part of its model.json."""
    excluded = training.get("excluded_sources")
    sources = tuple(json.loads(excluded)) if isinstance(excluded, str) else ()
    return FilmChoice(bool(training.get("own_labels")), sources)


def check_sources(sources: Sequence[str], labelled: Iterable[LabelledXray]) -> None:
    """Raise RefusedInput where a source is to be excluded of which nothing here comes."""
    known = sorted({xray.source for xray in labelled if xray.source is not None})
    unknown = [source for source in sources if source not in known]
    if unknown:
        expected = f"one of {', '.join(known)}" if known else "none: of no labelled film here the source is known"
        raise RefusedInput(f"--exclude-source: received {', '.join(unknown)}; expected {expected}", public=True)
