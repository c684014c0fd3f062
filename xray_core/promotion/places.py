"""What the gate asks of a candidate on films of another place that the policy names."""

from __future__ import annotations

from dataclasses import replace

from xray_core.evaluation import statistics
from xray_core.evaluation.bootstrap import Cohort, resample_statistics
from xray_core.evaluation.intervals import area_interval
from xray_core.promotion.checks import Check
from xray_core.promotion.evidence import PlaceEvidence, make_own_cohort
from xray_core.promotion.looks import Look, spend_alpha
from xray_core.promotion.policy import GateTest
from xray_core.promotion.rivals import Rival, check_not_worse
from xray_core.records import Interval

_CHANCE = 0.5


def check_elsewhere(place: PlaceEvidence, test: GateTest, look: Look, seed: int) -> list[Check]:
    """Does it rank the films of a place better than chance, and no worse than the champion does?

    Better means the lower end of the 95 % interval of its AUROC; worse is judged as on the test side, at the same look.
    """
    name = f"external {place.place}"
    if place.candidate is None:
        way_out = (
            f"`xray models evaluate --on FOLDER --name {place.place}` says why; `external_sets` of the policy names it"
        )
        return [Check(name, None, f"the films of {place.place} cannot be judged on", way_out)]
    ours = make_own_cohort(place.candidate)
    auroc = _measure(ours, test, seed)
    whom = f"{ours.count_known(ours.is_covid)} covid and {ours.count_known(~ours.is_covid)} normal patients"
    words = f"on {place.place} its AUROC is {auroc} on {whom}; it must be above {_CHANCE} at its lower end"
    way_out = (
        f"labelled films of {place.place} to train on; a place that is no aim of yours comes out of `external_sets` of "
        "the policy"
    )
    passed = True if auroc.low > _CHANCE else (None if auroc.value > _CHANCE else False)
    checks = [Check(name, passed, words, way_out)]
    if place.champion is not None:
        spent = replace(test, alpha=spend_alpha(test.alpha, look.number))
        rival = Rival(place.champion, f"{place.place}, champion", f"{name}, not worse")
        checks.append(check_not_worse(ours, place.candidate, rival, spent, seed))
    return checks


def _measure(cohort: Cohort, test: GateTest, seed: int) -> Interval:
    resampled = resample_statistics({"auroc": statistics.auroc(cohort)}, cohort, resamples=test.resamples, seed=seed)
    fewest = min(cohort.count_patients(cohort.is_covid), cohort.count_patients(~cohort.is_covid))
    interval = area_interval(*resampled["auroc"], patients=fewest, xrays=len(cohort.is_covid))
    assert interval is not None, "both classes are there: a place without one cannot be judged on"
    return interval
