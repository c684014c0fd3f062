"""Whether the view of a film tells its class, and how a model ranks films of one and the same view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xray_core.evaluation import statistics
from xray_core.evaluation.bootstrap import Cohort, resample_statistics
from xray_core.evaluation.intervals import area_interval
from xray_core.evaluation.slices import TOO_FEW_PATIENTS, UNKNOWN, take_cohort
from xray_core.records import Interval

# From here on the view says so much of the class that a model may have learned the view: 65 of 100 pairs.
_TELLS: Final = 0.65


@dataclass(frozen=True, slots=True)
class WithinView:
    """What the view has to do with the figures.

    Of `xrays` the view is `known` of so many. `view_alone` is the AUROC (0.5..1) of ranking those by the share of
    covid in their view: the most that knowing nothing but the view can give here. `auroc` is the model's over pairs of
    a covid and a normal film of one view. Both are None where no such films are known.
    """

    xrays: int
    known: int
    view_alone: float | None
    auroc: Interval | None

    @property
    def tells(self) -> bool:
        """Whether films of one class are mostly of one view."""
        return self.view_alone is not None and self.view_alone >= _TELLS

    @property
    def sentence(self) -> str:
        """What must be said beside the AUROC."""
        unknown = self.xrays - self.known
        if self.view_alone is None:
            known = f"The view is known of {self.known} of {self.xrays} X-rays"
            return f"{known}{', all of one class' if self.known else ''}: whether it tells the class cannot be told."
        among = "" if not unknown else f", known of {self.known} of {self.xrays} X-rays,"
        if not self.tells:
            return f"The view{among} hardly tells the class by itself (AUROC {self.view_alone:.2f})."
        mostly = f"The view{among} tells the class by itself (AUROC {self.view_alone:.2f})"
        if self.auroc is None:
            return f"{mostly}, and too few patients of both classes share one: disease and view cannot be told apart."
        return f"{mostly}: judge by pairs of one view, AUROC {self.auroc}."


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
