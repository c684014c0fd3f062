"""What a training can find out before its network has learned anything: begun before the fit, used after it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from xray_core.evaluation.shortcut_audit import Finding, choose_for_probes, probe_data
from xray_core.imaging.records import Flag
from xray_core.models.chest_reference import MOST_XRAYS, ChestReference, learn_reference
from xray_core.processes.grey_rows import choose_some
from xray_core.processes.helper_process import BackgroundCall, HelperProcess
from xray_core.records import Label, Split
from xray_core.training.images import Side, TrainingImages

_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Groundwork:
    """What a chest film is (None of too few), what tells the class without the lungs, and a picture of the films."""

    reference: BackgroundCall[ChestReference | None]
    findings: BackgroundCall[tuple[Finding, ...]]
    first_xrays: BackgroundCall[bytes]


def begin_groundwork(images: TrainingImages, helper: HelperProcess) -> Groundwork:
    """Give the helper process what needs no network."""
    learning = images.learning
    some = choose_some(len(learning.xrays), MOST_XRAYS)
    groups = [learning.xrays[place].group for place in some]
    is_unseen = Split.VALIDATION not in images.learned
    validation = images.sides[Split.VALIDATION].images
    unseen = validation[choose_some(len(validation), MOST_XRAYS if is_unseen else 0)]
    return Groundwork(
        reference=helper.begin(partial(learn_reference, learning.images[some], groups, unseen)),
        findings=helper.begin(partial(probe_data, choose_for_probes(images.for_audit))),
        first_xrays=helper.begin(partial(draw_first, *_choose_first(learning))),
    )


def draw_first(covid: NDArray[np.uint8], normal: NDArray[np.uint8]) -> bytes:
    """Fitted X-rays of each class (n, height, width) as a PNG."""
    from xray_core.report.image_sheets import plot_contact_sheet

    return plot_contact_sheet(covid, normal, n="training side, as the network gets them")


def _choose_first(train: Side) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The first X-rays of each class; none whose file says that something is written on the picture."""
    is_plain = np.array([Flag.BURNED_IN_ANNOTATION not in facts.flags for facts in train.facts], dtype=np.bool_)
    is_normal = np.array([xray.label is Label.NORMAL for xray in train.xrays], dtype=np.bool_)
    return train.images[_first(train.is_covid & is_plain)], train.images[_first(is_normal & is_plain)]


def _first(chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
    return np.flatnonzero(chosen)[:_SHOWN]
