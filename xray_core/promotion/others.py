"""What the gate asks of a candidate on films that are abnormal and not covid."""

from __future__ import annotations

from typing import Final

from xray_core.evaluation.bootstrap import Cohort
from xray_core.evaluation.comparison import compare_slices
from xray_core.evaluation.figures import measure_figures
from xray_core.evaluation.others import measure_others
from xray_core.promotion.checks import Check
from xray_core.promotion.evidence import GateEvidence
from xray_core.promotion.policy import GateTest
from xray_core.records import plural

OTHERS: Final = "other findings"


def check_others(
    ours: Cohort, candidate: GateEvidence, champion: GateEvidence | None, *, test: GateTest, seed: int
) -> list[Check]:
    """Specificity among films labelled other beside that among normal ones; nothing where there is no such film.

    It fails where the candidate takes more of them for covid than the champion does, as a slice collapses.
    """
    point = candidate.operating_point
    found = measure_others(candidate.others, point, resamples=test.resamples, seed=seed)
    if found is None:
        return []
    normal = measure_figures(ours, point, 0.5, resamples=test.resamples, seed=seed)
    words = (
        f"among {plural(found.xrays, 'X-ray')} of {plural(found.patients, 'patient')} labelled other specificity is "
        f"{found.specificity_at_lower} at the lower threshold (among normal ones {normal.specificity_at_lower}) and "
        f"{found.specificity_at_upper} at the upper ({normal.specificity_at_upper})"
    )
    worse = 0.0 if champion is None else _measure_collapse(candidate, champion, test=test, seed=seed)
    way_out = (
        "label more films other for the next training, `xray review` has them read; how much worse it may be is "
        "`test.slice_margin` of the policy"
    )
    if worse:
        words += f", and {worse:.2f} more of them are called positive than by the champion"
    return [Check(OTHERS, not worse, words, way_out)]


def _measure_collapse(candidate: GateEvidence, champion: GateEvidence, *, test: GateTest, seed: int) -> float:
    """By how much more films labelled other are called positive, where it is too much and beyond chance; else 0."""
    ours, theirs = candidate.others.to_cohort(), champion.others.to_cohort()
    points = candidate.operating_point, champion.operating_point
    differences = compare_slices(
        (ours, theirs),
        points,
        {"label": ["other"] * len(ours.probabilities)},
        alpha=test.alpha,
        resamples=test.resamples,
        seed=seed,
    )
    worst = [-one.value for one in differences.values() if one.value < -test.slice_margin and one.high < 0]
    return max(worst, default=0.0)
