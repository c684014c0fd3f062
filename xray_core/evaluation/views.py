"""Whether the view of a film tells its class, and how a model ranks films of one and the same view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xray_core.evaluation import statistics
from xray_core.evaluation.bootstrap import Cohort, resample_statistics
from xray_core.evaluation.elsewhere import WithinView
from xray_core.evaluation.intervals import area_interval
from xray_core.evaluation.slices import TOO_FEW_PATIENTS, UNKNOWN, take_cohort
from xray_core.records import Interval


def judge_within_view(cohort: Cohort, views: Sequence[str], *, resamples: int, seed: int) -> WithinView:
    """How the cohort (n,) is ranked within each view; `views` (n,) are words, `unknown` where nobody knows it.

    Pairs of all views count alike (a stratified AUROC), with 95 % intervals as of every area. Only views with at least
    five patients of each class count.
    """
    written = np.asarray(views, dtype=np.str_)
    known = written != UNKNOWN
    part, views_of = take_cohort(cohort, known), written[known]
    if not known.any() or part.is_covid.all() or not part.is_covid.any():
        return WithinView(len(written), int(known.sum()), None, None)
    names, view_of = np.unique(views_of, return_inverse=True)
    both = np.array([_has_both(part, view_of == view) for view in range(len(names))])
    return WithinView(
        xrays=len(written),
        known=int(known.sum()),
        view_alone=_rank_by_view(part, view_of),
        auroc=_measure(take_cohort(part, both[view_of]), view_of[both[view_of]], resamples, seed)
        if both.any()
        else None,
    )


def _has_both(part: Cohort, chosen: NDArray[np.bool_]) -> bool:
    sides = chosen & part.is_covid, chosen & ~part.is_covid
    return min(part.count_patients(side) for side in sides) >= TOO_FEW_PATIENTS


def _rank_by_view(part: Cohort, view_of: NDArray[np.intp]) -> float:
    """The AUROC of the share of covid in a film's view."""
    shares = np.bincount(view_of, weights=part.is_covid) / np.bincount(view_of)
    by_view = replace(part, probabilities=shares[view_of])
    return float(statistics.auroc(by_view)(np.ones((1, part.patients), dtype=np.float32))[0])


def _measure(shared: Cohort, view_of: NDArray[np.intp], resamples: int, seed: int) -> Interval | None:
    measured = {"auroc": statistics.auroc_within(shared, view_of)}
    resampled = resample_statistics(measured, shared, resamples=resamples, seed=seed)["auroc"]
    fewest = min(shared.count_patients(shared.is_covid), shared.count_patients(~shared.is_covid))
    return area_interval(*resampled, patients=fewest, xrays=len(shared.is_covid))
