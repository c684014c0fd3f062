"""The comparison that the gate makes: which look at the test side it is, and the candidate beside each rival."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from xray_core.evaluation import statistics
from xray_core.evaluation.bootstrap import Cohort
from xray_core.evaluation.comparison import compare_auroc
from xray_core.promotion.checks import Check
from xray_core.promotion.evidence import Beside, GateEvidence, align_scores
from xray_core.promotion.looks import spend_alpha
from xray_core.promotion.more_patients import count_more, say_larger_sample, say_more_labelled
from xray_core.promotion.policy import GateTest

LOOK: Final = "look"
RENEW: Final = "patients who are new to the test side: where they are half of it, its looks are counted anew"


class Rival(NamedTuple):
    """Whom a candidate must not be worse than: its scores, its role, and the check's name."""

    evidence: GateEvidence
    role: str
    check: str


def check_not_worse(ours: Cohort, candidate: GateEvidence, rival: Rival, test: GateTest, seed: int) -> Check:
    theirs = align_scores(rival.evidence, candidate)
    difference = compare_auroc(ours, theirs, alpha=test.alpha, resamples=test.resamples, seed=seed)
    whole = np.ones((1, ours.patients), dtype=np.float32)
    both = [float(statistics.auroc(cohort)(whole)[0]) for cohort in (ours, theirs)]
    version = rival.evidence.version
    words = (
        f"AUROC {both[0]:.3f} against {both[1]:.3f} of {rival.role} {version} on the same {len(ours.is_covid)} "
        f"X-rays (difference {difference.value:+.3f}, at least {difference.low:+.3f}; it may be {-test.margin:+.3f})"
    )
    if difference.low <= -test.margin <= difference.high and difference.value - difference.low > test.margin:
        more = count_more(ours.patients, difference, -test.margin)
        patients = f"{say_more_labelled(more, 'covid and normal')} in all{say_larger_sample(candidate.judged_on)}"
        way_out = f"{patients}, should the difference stay as it is"
        return Check(rival.check, None, f"{words}: the X-rays are too few to tell", way_out)
    way_out = (
        f"label more X-rays for the next training; `xray models compare {version} {candidate.version}` lists "
        "where the two disagree, and `test.margin` of the policy is how much worse it may be"
    )
    return Check(rival.check, difference.low > -test.margin, words, way_out)


def describe_look(ours: Cohort, beside: Beside, champion: str, test: GateTest, *, spends: bool) -> str:
    """Which look at the side this is, judged on whom, beside whom, and what it may spend."""
    benchmark = "" if beside.benchmark is None else f" and benchmark {beside.benchmark.version}"
    chance = _write_chance(spend_alpha(test.alpha, beside.look.number)) if spends else "nothing"
    return (
        f"{beside.look}, judged on {int(ours.is_known.sum())} patients, beside champion {champion}{benchmark}; "
        f"{chance} of the chance of {test.alpha:g} is spent at it"
    )


def _write_chance(chance: float) -> str:
    return f"{chance:.4f}" if chance >= 0.0001 else f"{chance:.1e}"
