"""What a training can find out before its network has learned anything: begun before the fit, used after it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from flows.material import Material
from flows.second_process import Errand, SecondProcess
from xray_core.chest_reference import ChestReference, learn_reference
from xray_core.records import Split
from xray_core.shortcuts import Finding, probe_data


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a chest film is (None of too few), and what tells the class without the lungs."""

    reference: Errand[ChestReference | None]
    findings: Errand[tuple[Finding, ...]]


def prepare(material: Material, beside: SecondProcess) -> Preparation:
    """Give the second process what needs no network."""
    train = material.sides[Split.TRAIN]
    return Preparation(
        reference=beside.begin(
            partial(learn_reference, train.images, train.groups, material.sides[Split.VALIDATION].images)
        ),
        findings=beside.begin(partial(probe_data, material.films)),
    )
