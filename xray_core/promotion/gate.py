"""Is a candidate promoted? A decision without input or output that returns its reason."""

from __future__ import annotations

from dataclasses import dataclass

from xray_core.evaluation.bootstrap import make_cohort
from xray_core.evaluation.comparison import Difference, compare_auroc
from xray_core.promotion.checks import (
    FILMS,
    Check,
    check_audit,
    check_films,
    check_not_worse,
    check_patients,
    check_probe,
    check_refer_share,
    check_sensitivity,
    check_slices,
)
from xray_core.promotion.evidence import GateEvidence, align_scores
from xray_core.promotion.policy import GateTest, RetrainingPolicy
from xray_core.records import Split, Verdict


@dataclass(frozen=True, slots=True)
class PromotionDecision:
    """What the gate says. `proven` is False for a first model: nobody was there to be compared with."""

    verdict: Verdict
    reason: str
    proven: bool
    checks: tuple[Check, ...]


def decide_promotion(
    candidate: GateEvidence, champion: GateEvidence | None, policy: RetrainingPolicy, *, seed: int = 0
) -> PromotionDecision:
    """Decide whether the candidate becomes champion, on the frozen test X-rays and nothing else.

    `promote` needs every check: it loads and repeats its probe outputs, its audit is not confounded, there are
    patients enough, it reaches the floor for sensitivity, refers not too many, is not worse than the champion by the
    margin (paired, see `comparison.compare_auroc`), and no slice collapses. `reject` when one fails, `insufficient
    evidence` when none fails but the X-rays cannot tell, or when a film of the test side cannot be read: a smaller
    side would be an easier or harder one. A first model is promoted unproven when it loads. Raises ValueError when the
    two were not judged on the same X-rays.
    """
    test = policy.test
    ours = make_cohort(candidate.probabilities, candidate.is_covid, candidate.patients)
    checks = [check_probe(candidate), check_audit(candidate), *check_films(candidate.unread)]
    checks.append(check_patients(ours, candidate, test))
    if checks[-1].passed and not candidate.unread.get(Split.TEST):
        checks += [check_sensitivity(ours, candidate, test, seed), check_refer_share(ours, candidate, test)]
        if champion is not None:
            theirs = align_scores(champion, candidate)
            checks.append(check_not_worse(ours, theirs, candidate, champion, test=test, seed=seed))
            checks.append(check_slices(ours, theirs, candidate, champion, test=test, seed=seed))
    if champion is None:
        return _decide_first(tuple(checks))
    return _decide(tuple(checks))


def measure_difference(candidate: GateEvidence, champion: GateEvidence, test: GateTest, *, seed: int = 0) -> Difference:
    """AUROC of the candidate minus the champion's with its one-sided bounds, as `decide_promotion` judges it.

    Raises ValueError when the two were not judged on the same X-rays.
    """
    ours = make_cohort(candidate.probabilities, candidate.is_covid, candidate.patients)
    return compare_auroc(ours, align_scores(champion, candidate), alpha=test.alpha, resamples=test.resamples, seed=seed)


def _decide_first(checks: tuple[Check, ...]) -> PromotionDecision:
    if not checks[0].passed:
        return PromotionDecision(Verdict.REJECT, _sentence(checks[0].words), False, checks)
    doubts = "; ".join(check.words for check in checks if not check.passed or check.name == FILMS)
    reason = "First model, champion but unproven: there was none to compare it with."
    return PromotionDecision(Verdict.PROMOTE, f"{reason} {_sentence(doubts)}".strip(), False, checks)


def _decide(checks: tuple[Check, ...]) -> PromotionDecision:
    films = [check.words for check in checks if check.name == FILMS and check.passed]
    failed = [check.words for check in checks if check.passed is False]
    untold = [check.words for check in checks if check.passed is None]
    if failed:
        films += [check.words for check in checks if check.name == FILMS and not check.passed]
        return PromotionDecision(Verdict.REJECT, _sentence("; ".join(failed + films)), False, checks)
    if untold:
        return PromotionDecision(Verdict.INSUFFICIENT_EVIDENCE, _sentence("; ".join(untold + films)), False, checks)
    shown = {check.name: check.words for check in checks}
    reason = "; ".join((shown["not worse"], shown["sensitivity"], *films))
    return PromotionDecision(Verdict.PROMOTE, _sentence(reason), True, checks)


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}." if words else ""
