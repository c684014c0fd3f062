"""What the gate asks of a candidate on films of another place that the policy names."""

from __future__ import annotations

from dataclasses import replace

from xray_core.evaluation import statistics
from xray_core.evaluation.bootstrap import Cohort, resample_statistics
from xray_core.evaluation.elsewhere import CHANCE, MOST_UNKNOWN, WithinView, find_judge
from xray_core.evaluation.intervals import area_interval
from xray_core.evaluation.views import judge_within_view
from xray_core.promotion.checks import Check
from xray_core.promotion.evidence import GateEvidence, PlaceEvidence, make_own_cohort
from xray_core.promotion.looks import Look, spend_alpha
from xray_core.promotion.policy import GateTest
from xray_core.promotion.rivals import Rival, check_not_worse
from xray_core.records import Interval, is_content_group


def check_elsewhere(place: PlaceEvidence, test: GateTest, look: Look, seed: int) -> list[Check]:
    """Does it rank the films of a place better than chance, and no worse than the champion does?

    Better means the lower end of the 95 % interval of its AUROC, over all pairs and, where the view tells the class
    there, over those of one view; where no view is shared, or more than a tenth of the films are of unknown patients,
    it cannot be told. Worse is judged as on the test side, at the same look.
    """
    name = f"external {place.place}"
    if place.candidate is None:
        way_out = (
            f"`xray models evaluate --on FOLDER --name {place.place}` says why; `external_sets` of the policy names it"
        )
        return [Check(name, None, f"the films of {place.place} cannot be judged on", way_out)]
    ours = make_own_cohort(place.candidate)
    checks = [_check_better_than_chance(place.place, place.candidate, test, seed)]
    if place.champion is not None:
        spent = replace(test, alpha=spend_alpha(test.alpha, look.number))
        rival = Rival(place.champion, f"{place.place}, champion", f"{name}, not worse")
        checks.append(check_not_worse(ours, place.candidate, rival, spent, seed))
    return checks


def _check_better_than_chance(place: str, candidate: GateEvidence, test: GateTest, seed: int) -> Check:
    ours = make_own_cohort(candidate)
    auroc = _measure(ours, test, seed)
    unknown = sum(is_content_group(group) for group in candidate.patients)
    whom = f"{ours.count_known(ours.is_covid)} covid and {ours.count_known(~ours.is_covid)} normal patients"
    words = f"on {place} its AUROC is {auroc} on {whom}; it must be above {CHANCE} at its lower end"
    ways_out = [
        f"labelled films of {place} to train on; a place that is no aim of yours comes out of `external_sets` of "
        "the policy"
    ]
    view: WithinView | None = None
    if "view" in candidate.slices:
        view = judge_within_view(ours, candidate.slices["view"], resamples=test.resamples, seed=seed)
        words += f". {view.sentence.rstrip('.')}" if view.tells or view.known < view.xrays else ""
    if unknown:
        of_all = f"{unknown} of {len(candidate.patients)} X-rays"
        words += f"; {of_all} are of unknown patients, at most {MOST_UNKNOWN:.0%} may be"
        ways_out.append(f'`{place} = {{folder = "...", patients = "..."}}` in the policy says whose they are')
    can_be_told = unknown <= MOST_UNKNOWN * len(candidate.patients)
    passed = _is_better_than_chance(find_judge(auroc, view), can_be_told=can_be_told)
    return Check(f"external {place}", passed, words, "; ".join(ways_out))


def _is_better_than_chance(judge: Interval | None, *, can_be_told: bool) -> bool | None:
    """None where nothing judges, where more films may tell, or where those there cannot."""
    if judge is None or judge.value > CHANCE >= judge.low:
        return None
    return (can_be_told or None) if judge.low > CHANCE else False


def _measure(cohort: Cohort, test: GateTest, seed: int) -> Interval:
    resampled = resample_statistics({"auroc": statistics.auroc(cohort)}, cohort, resamples=test.resamples, seed=seed)
    fewest = min(cohort.count_patients(cohort.is_covid), cohort.count_patients(~cohort.is_covid))
    interval = area_interval(*resampled["auroc"], patients=fewest, xrays=len(cohort.is_covid))
    assert interval is not None, "both classes are there: a place without one cannot be judged on"
    return interval
