"""Is a candidate promoted? A decision without input or output that returns its reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from xray_core.evaluation.bootstrap import Cohort
from xray_core.evaluation.comparison import Difference, compare_auroc
from xray_core.promotion.checks import (
    AUDIT,
    FILMS,
    LOADS,
    Check,
    check_audit,
    check_films,
    check_kept_apart,
    check_patients,
    check_probe,
    check_refer_share,
    check_sensitivity,
    check_slices,
)
from xray_core.promotion.evidence import Beside, GateEvidence, align_scores, make_own_cohort
from xray_core.promotion.judged_on import JUDGED_ON, MORE_JUDGES
from xray_core.promotion.looks import Look, spend_alpha
from xray_core.promotion.others import OTHERS, check_others
from xray_core.promotion.places import check_elsewhere
from xray_core.promotion.policy import GateTest, RetrainingPolicy
from xray_core.promotion.rivals import LOOK, RENEW, Rival, check_not_worse, describe_look
from xray_core.records import Split, Verdict


@dataclass(frozen=True, slots=True)
class PromotionDecision:
    """What the gate says. `proven` is False for a first model: nobody was there to be compared with."""

    verdict: Verdict
    reason: str
    proven: bool
    checks: tuple[Check, ...]

    @property
    def took_look(self) -> bool:
        """Whether it was compared with a champion and might have passed: that takes a look at the test side.

        What its audit or its loading keeps out could not be promoted by chance, so its comparison spends nothing:
        years of confounded candidates leave the side as it was.
        """
        return any(check.name == LOOK for check in self.checks) and not _is_kept_out(self.checks)


def decide_promotion(
    candidate: GateEvidence,
    champion: GateEvidence | None,
    policy: RetrainingPolicy,
    *,
    beside: Beside,
    seed: int = 0,
) -> PromotionDecision:
    """Decide whether the candidate becomes champion, on the frozen test X-rays and nothing else.

    `promote` needs every check: it loads and repeats its probe outputs, its audit is not confounded, there are
    patients enough, it reaches the floor for sensitivity, refers not too many, is not worse by the margin than the
    champion (paired, see `comparison.compare_auroc`), nor than the benchmark, does well at the places that the policy
    names, and neither a slice collapses nor what it makes of films labelled other, which judge apart. The reason says
    on whom it was judged. What a comparison may spend of alpha falls with the looks at this side
    (`looks.spend_alpha`). `reject` when one fails, `insufficient evidence` when none fails but the X-rays cannot tell,
    when cross-validation had to judge, or when a film of the test side cannot be read: a smaller side would be an
    easier or harder one. A first model is instated, unproven, when it loads. Raises ValueError when two were
    not judged on the same X-rays.
    """
    test = policy.test
    ours = make_own_cohort(candidate)
    checks = [check_probe(candidate), check_audit(candidate), *check_films(candidate.unread)]
    if candidate.cross_validated:
        checks.append(check_kept_apart(candidate, test, is_first=champion is None))
    else:
        checks.append(check_patients(ours, candidate, test))
    is_enough = checks[-1].passed
    if candidate.judged_on is not None:
        checks.append(Check(JUDGED_ON, True, f"judged on {candidate.judged_on}", MORE_JUDGES))
    if is_enough and not candidate.unread.get(Split.TEST):
        checks += [check_sensitivity(ours, candidate, test, seed), check_refer_share(ours, candidate, test)]
        if champion is not None:
            look = describe_look(ours, beside, champion.version, test, spends=not _is_kept_out(checks))
            checks.append(Check(LOOK, True, look, RENEW))
            checks += _compare(ours, candidate, champion, test, beside=beside, seed=seed)
    checks += [check for place in beside.places for check in check_elsewhere(place, test, beside.look, seed)]
    if not candidate.unread.get(Split.TEST):
        checks += check_others(ours, candidate, champion, test=test, seed=seed)
    decision = _decide_first(tuple(checks)) if champion is None else _decide(tuple(checks))
    always = (_sentence(check.words) for check in checks if check.name in (OTHERS, JUDGED_ON) and check.passed)
    return replace(decision, reason=" ".join((decision.reason, *always)))


def _is_kept_out(checks: Sequence[Check]) -> bool:
    """Whether a check has failed that asks nothing of the test X-rays."""
    return any(check.passed is False for check in checks if check.name in (LOADS, AUDIT))


def _compare(
    ours: Cohort, candidate: GateEvidence, champion: GateEvidence, test: GateTest, *, beside: Beside, seed: int
) -> Iterator[Check]:
    """Candidate beside champion and benchmark, at the chance that this look may spend."""
    spent = replace(test, alpha=spend_alpha(test.alpha, beside.look.number))
    yield check_not_worse(ours, candidate, Rival(champion, "champion", "not worse"), spent, seed)
    if beside.benchmark is not None:
        yield check_not_worse(ours, candidate, Rival(beside.benchmark, "benchmark", "benchmark"), spent, seed)
    theirs = align_scores(champion, candidate)
    yield check_slices(ours, theirs, candidate, champion, test=test, seed=seed)


def measure_difference(
    candidate: GateEvidence, champion: GateEvidence, test: GateTest, look: Look, *, seed: int = 0
) -> Difference:
    """AUROC of the candidate minus the champion's with its one-sided bounds, as `decide_promotion` judges it.

    Raises ValueError when the two were not judged on the same X-rays.
    """
    ours = make_own_cohort(candidate)
    alpha = spend_alpha(test.alpha, look.number)
    return compare_auroc(ours, align_scores(champion, candidate), alpha=alpha, resamples=test.resamples, seed=seed)


def _decide_first(checks: tuple[Check, ...]) -> PromotionDecision:
    if not checks[0].passed:
        return PromotionDecision(Verdict.REJECT, _sentence(checks[0].words), False, checks)
    doubts = "; ".join(check.words for check in checks if not check.passed or check.name == FILMS)
    reason = "First model, champion but unproven: there was none to compare it with."
    return PromotionDecision(Verdict.PROMOTE, f"{reason} {_sentence(doubts)}".strip(), False, checks)


def _decide(checks: tuple[Check, ...]) -> PromotionDecision:
    films = [check.words for check in checks if check.name == FILMS and check.passed]
    look = [check.words for check in checks if check.name == LOOK]
    failed = [check.words for check in checks if check.passed is False]
    untold = [check.words for check in checks if check.passed is None]
    if failed:
        films += [check.words for check in checks if check.name == FILMS and not check.passed]
        return PromotionDecision(Verdict.REJECT, _sentence("; ".join(failed + films + look)), False, checks)
    if untold:
        reason = _sentence("; ".join(untold + films + look))
        return PromotionDecision(Verdict.INSUFFICIENT_EVIDENCE, reason, False, checks)
    words = {check.name: check.words for check in checks}
    shown = [words[name] for name in ("not worse", "benchmark", "sensitivity") if name in words]
    return PromotionDecision(Verdict.PROMOTE, _sentence("; ".join(shown + films + look)), True, checks)


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}." if words else ""
