"""Slices: the same figures for one source, view, sex, age group, format or size alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xray_core.evaluation import statistics
from xray_core.evaluation.bootstrap import Cohort, Floats, Statistic, resample_statistics
from xray_core.evaluation.intervals import area_interval, share_interval
from xray_core.models.records import OperatingPoint
from xray_core.records import Interval, LabelledXray

TOO_FEW_XRAYS = 20
TOO_FEW_PATIENTS = 5  # of a class: an area under the curve of fewer says nothing
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SliceFigures:
    """One slice of the evaluated X-rays. Figures are None where it has too few X-rays, or one class only.

    Both thresholds have their own pair, see `Figures`.
    `remark` says so in words: "too few" or "only covid", else it is empty.
    """

    name: str
    value: str
    xrays: int
    covid: int
    normal: int
    patients: int
    auroc: Interval | None
    sensitivity_at_lower: Interval | None
    specificity_at_lower: Interval | None
    sensitivity_at_upper: Interval | None
    specificity_at_upper: Interval | None
    refer_share: Interval | None
    remark: str


def name_slices(xrays: Sequence[LabelledXray]) -> dict[str, list[str]]:
    """The slice that each X-ray belongs to, by source, view, sex, age group, file format and size."""
    return {
        "source": [xray.source or UNKNOWN for xray in xrays],
        "view": [xray.view or UNKNOWN for xray in xrays],
        "sex": [xray.sex or UNKNOWN for xray in xrays],
        "age group": [xray.age_group or UNKNOWN for xray in xrays],
        "format": [xray.file_format.value for xray in xrays],
        "size": [name_size(xray.width, xray.height) for xray in xrays],
    }


def name_size(width: int, height: int) -> str:
    """The size band of an X-ray by its longer side in pixels."""
    longer = max(width, height)
    for edge in (512, 1024, 2048):
        if longer <= edge:
            return f"up to {edge} pixels"
    return "over 2048 pixels"


def measure_slices(
    cohort: Cohort,
    slices: Mapping[str, Sequence[str]],
    operating_point: OperatingPoint,
    *,
    resamples: int,
    seed: int,
) -> tuple[SliceFigures, ...]:
    """Figures of every value of every slice, in order of name and value. Raises ValueError on unequal lengths."""
    measured: list[SliceFigures] = []
    known: dict[bytes, SliceFigures] = {}  # where nothing is said of any film, one slice is like another
    for name, values in sorted(slices.items()):
        if len(values) != len(cohort.is_covid):
            raise ValueError(f"slice {name!r}: received {len(values)} values for {len(cohort.is_covid)} X-rays")
        written = np.asarray(values, dtype=np.str_)
        for value in sorted(set(values)):
            chosen = written == value
            if chosen.tobytes() not in known:
                part = take_cohort(cohort, chosen)
                known[chosen.tobytes()] = _measure_slice(
                    name, value, part, operating_point, resamples=resamples, seed=seed
                )
            measured.append(replace(known[chosen.tobytes()], name=name, value=value))
    return tuple(measured)


def take_cohort(cohort: Cohort, chosen: NDArray[np.bool_]) -> Cohort:
    """The chosen X-rays (n,) bool as a cohort of their own."""
    patients, patient_of = np.unique(cohort.patient_of[chosen], return_inverse=True)
    has_covid = np.zeros(len(patients), dtype=np.bool_)
    has_covid[patient_of[cohort.is_covid[chosen]]] = True
    return Cohort(
        cohort.probabilities[chosen],
        cohort.is_covid[chosen],
        patient_of.astype(np.intp),
        has_covid,
        cohort.is_known[patients],
        cohort.is_odd[chosen],
    )


def _measure_slice(
    name: str, value: str, part: Cohort, point: OperatingPoint, *, resamples: int, seed: int
) -> SliceFigures:
    remark = _remark(part)
    measured = {} if remark == "too few" else _name_statistics(part, point)
    resampled = resample_statistics(measured, part, resamples=resamples, seed=seed)
    everyone = np.ones(len(part.is_covid), dtype=np.bool_)
    return SliceFigures(
        name=name,
        value=value,
        xrays=len(part.is_covid),
        covid=int(part.is_covid.sum()),
        normal=int((~part.is_covid).sum()),
        patients=part.count_known(everyone),
        auroc=_interval(resampled, "auroc", part, everyone),
        sensitivity_at_lower=_interval(resampled, "sensitivity_at_lower", part, part.is_covid),
        specificity_at_lower=_interval(resampled, "specificity_at_lower", part, ~part.is_covid),
        sensitivity_at_upper=_interval(resampled, "sensitivity_at_upper", part, part.is_covid),
        specificity_at_upper=_interval(resampled, "specificity_at_upper", part, ~part.is_covid),
        refer_share=_interval(resampled, "refer_share", part, everyone),
        remark=remark,
    )


def _remark(part: Cohort) -> str:
    if len(part.is_covid) < TOO_FEW_XRAYS:
        return "too few"
    if part.is_covid.all() or not part.is_covid.any():
        return "only covid" if part.is_covid.all() else "only normal"
    fewest = min(part.count_patients(part.is_covid), part.count_patients(~part.is_covid))
    return "too few of one class" if fewest < TOO_FEW_PATIENTS else ""


def _name_statistics(part: Cohort, point: OperatingPoint) -> dict[str, Statistic]:
    calls, everyone = part.call(point), np.ones(len(part.is_covid), dtype=np.bool_)
    measured = {
        "sensitivity_at_lower": statistics.share(part, ~calls.negative, part.is_covid),
        "specificity_at_lower": statistics.share(part, calls.negative, ~part.is_covid),
        "sensitivity_at_upper": statistics.share(part, calls.positive, part.is_covid),
        "specificity_at_upper": statistics.share(part, ~calls.positive, ~part.is_covid),
        "refer_share": statistics.share(part, calls.referred, everyone),
    }
    if not _remark(part):
        measured["auroc"] = statistics.auroc(part)
    return measured


def _interval(
    resampled: Mapping[str, tuple[float, Floats]], name: str, part: Cohort, among: NDArray[np.bool_]
) -> Interval | None:
    if name not in resampled or not among.any():
        return None
    if name == "auroc":
        fewest = min(part.count_patients(part.is_covid), part.count_patients(~part.is_covid))
        return area_interval(*resampled[name], patients=fewest, xrays=int(among.sum()))
    return share_interval(*resampled[name], patients=part.count_patients(among), xrays=int(among.sum()))
