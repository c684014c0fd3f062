"""Which patients of a large test side judge: a sample fixed by the site's key, the same for every model and look."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from xray_core.records import ONE_EACH, Label, LabelledXray

# A patient with films of several classes stands with those of the first of them.
_CLASSES: Final = (Label.COVID, Label.NORMAL, Label.OTHER)


def draw_judges(test: Iterable[LabelledXray], key: bytes, most: int) -> frozenset[str]:
    """The patients (groups) of a test side who judge: of each class all, or the `most` that come first by the key.

    Their order is a keyed hash of the patient and of nothing else, and of another hash than the side's. So the sample
    is by chance, no model and no look has another one, a patient judges with every film, and as a side grows only
    patients who are new to it come in: whoever leaves makes room for one of these. Never-ending growth within a bound
    has no other way; were nobody to leave, nobody new could come, and no side would ever be renewed
    (docs/decisions/0021-a-sample-of-a-large-test-side-judges.md). A smaller side that is part of this one has all of
    its patients in its own sample who are in this.
    """
    by_class: dict[Label, list[str]] = {}
    for group, label in _find_classes(test).items():
        by_class.setdefault(label, []).append(group)
    return frozenset(
        group for groups in by_class.values() for group in sorted(groups, key=lambda one: _place(one, key))[:most]
    )


def count_judges_drawn(test: Iterable[LabelledXray], most: int, *, numbers: Mapping[int, int] = ONE_EACH) -> int | None:
    """How many patients `draw_judges` draws, None where it draws all of them.

    An X-ray whose id is among `numbers` stands for so many patients.
    """
    test = list(test)
    alike = {xray.group: numbers.get(xray.xray_id, 1) for xray in test}
    there = Counter[Label]()
    for group, label in _find_classes(test).items():
        there[label] += alike[group]
    drawn = sum(min(number, most) for number in there.values())
    return None if drawn == there.total() else drawn


def _find_classes(test: Iterable[LabelledXray]) -> dict[str, Label]:
    """The class of every patient."""
    found: dict[str, Label] = {}
    for xray in test:
        found[xray.group] = min(found.get(xray.group, xray.label), xray.label, key=_CLASSES.index)
    return found


def _place(group: str, key: bytes) -> tuple[bytes, str]:
    return hashlib.blake2b(group.encode(), key=key, digest_size=8, person=b"xray judges v1").digest(), group
