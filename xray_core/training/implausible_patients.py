"""Patient ids that cannot be one person's: an anonymiser's or a console's one id for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from xray_core.records import ONE_EACH, Label, LabelledXray, name_content_group

# More labelled films than these, and of both classes: a person is followed up, but rarely as often. Fewer say nothing.
HANDFUL: Final = 5
# More films than these, and more than a third of all.
_MANY, _SHARE = 20, 3


def is_implausible(covid: int, normal: int, xrays: int) -> bool:
    """Whether so many covid and normal films, of `xrays` labelled ones, can hardly be one person's.

    In both classes with more than five films, or with more than twenty that are more than a third of all. The bounds
    are ours: a real patient whom they hit loses no film to training, only to judging.
    """
    return bool(covid and normal and covid + normal > HANDFUL) or (
        covid + normal > _MANY and _SHARE * (covid + normal) > xrays
    )


def doubt_patients(
    xrays: Sequence[LabelledXray], *, numbers: Mapping[int, int] = ONE_EACH
) -> tuple[list[LabelledXray], int]:
    """The same X-rays, those of an implausible patient as unknown ones, and how many these are.

    One whose id is among `numbers` stands for so many of other patients who are alike. Labels that are not trained on
    count in no class. The doubted id stays among the former groups: where it stood on a
    side, its X-rays come to no other one.
    """
    counts = Counter((xray.group, xray.label) for xray in xrays if xray.patient_known and xray.label.is_trainable)
    total = sum(numbers.get(xray.xray_id, 1) for xray in xrays if xray.label.is_trainable)
    doubted = {
        group for group, _ in counts if is_implausible(counts[group, Label.COVID], counts[group, Label.NORMAL], total)
    }
    answer = [_forget(xray) if xray.group in doubted else xray for xray in xrays]
    return answer, sum(xray.group in doubted for xray in xrays)


def _forget(xray: LabelledXray) -> LabelledXray:
    return replace(
        xray,
        group=name_content_group(xray.sha256),
        patient_known=False,
        former_groups=(*xray.former_groups, xray.group),
    )
