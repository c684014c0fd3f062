"""Is retraining due, and is a candidate promoted? Decisions without input or output; each returns its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from xray_core.evaluation import statistics
from xray_core.evaluation.bootstrap import Cohort, Statistic, make_cohort, resample_statistics
from xray_core.evaluation.comparison import Difference, compare_auroc, compare_slices
from xray_core.evaluation.intervals import share_interval
from xray_core.models.records import OperatingPoint
from xray_core.promotion.policy import GateTest, RetrainingPolicy
from xray_core.records import AuditVerdict, Interval, Split, Verdict, is_content_group

_FILMS = "films"


@dataclass(frozen=True, slots=True)
class GateEvidence:
    """What the gate knows of one model: its scores P(covid) on the frozen test X-rays, one entry per X-ray.

    `slices` maps a name to one value per X-ray. `reproduces_probe` says that the model loaded in a fresh process and
    gave its probe outputs again; `audit` is its shortcut audit; `without_patient` counts the labelled X-rays whose
    patient nobody knows, `unread` those of each side whose film cannot be read any more. They are asked of the
    candidate only.
    """

    version: str
    xrays: Sequence[str]
    probabilities: Sequence[float]
    is_covid: Sequence[bool]
    patients: Sequence[str]
    operating_point: OperatingPoint
    slices: Mapping[str, Sequence[str]]
    reproduces_probe: bool | None = None
    audit: AuditVerdict | None = None
    without_patient: int = 0
    unread: Mapping[Split, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the gate asks; `passed` is None where it cannot be told."""

    name: str
    passed: bool | None
    words: str

    @property
    def mark(self) -> str:
        """What came of it, for a person."""
        return {True: "passed", False: "FAILED", None: "cannot be told"}[self.passed]


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
    checks = [_check_probe(candidate), _check_audit(candidate), *check_films(candidate.unread)]
    checks.append(_check_patients(ours, candidate, test))
    if checks[-1].passed and not candidate.unread.get(Split.TEST):
        checks += [_check_sensitivity(ours, candidate, test, seed), _check_refer_share(ours, candidate, test)]
        if champion is not None:
            theirs = _align(champion, candidate)
            checks.append(_check_not_worse(ours, theirs, champion.version, test, seed))
            checks.append(_check_slices(ours, theirs, candidate, champion, test=test, seed=seed))
    if champion is None:
        return _decide_first(tuple(checks))
    return _decide(tuple(checks))


def check_films(unread: Mapping[Split, int]) -> list[Check]:
    """What is said where labelled films cannot be read any more, by side; nothing where all can."""
    sides = " and ".join(f"{number} of the {split.value} side" for split, number in unread.items() if number)
    if not sides:
        return []
    words = (
        f"labelled films cannot be read any more, {sides}: put them back where they lay (`xray verify` names them), or "
        "let them go (`xray verify --let-go`)"
    )
    if not unread.get(Split.TEST):
        return [Check(_FILMS, True, words)]
    return [Check(_FILMS, None, f"{words}; no smaller test side is judged")]


def measure_difference(candidate: GateEvidence, champion: GateEvidence, test: GateTest, *, seed: int = 0) -> Difference:
    """AUROC of the candidate minus the champion's with its one-sided bounds, as `decide_promotion` judges it.

    Raises ValueError when the two were not judged on the same X-rays.
    """
    ours = make_cohort(candidate.probabilities, candidate.is_covid, candidate.patients)
    return compare_auroc(ours, _align(champion, candidate), alpha=test.alpha, resamples=test.resamples, seed=seed)


def _decide_first(checks: tuple[Check, ...]) -> PromotionDecision:
    if not checks[0].passed:
        return PromotionDecision(Verdict.REJECT, _sentence(checks[0].words), False, checks)
    doubts = "; ".join(check.words for check in checks if not check.passed or check.name == _FILMS)
    reason = "First model, champion but unproven: there was none to compare it with."
    return PromotionDecision(Verdict.PROMOTE, f"{reason} {_sentence(doubts)}".strip(), False, checks)


def _decide(checks: tuple[Check, ...]) -> PromotionDecision:
    films = [check.words for check in checks if check.name == _FILMS and check.passed]
    failed = [check.words for check in checks if check.passed is False]
    untold = [check.words for check in checks if check.passed is None]
    if failed:
        films += [check.words for check in checks if check.name == _FILMS and not check.passed]
        return PromotionDecision(Verdict.REJECT, _sentence("; ".join(failed + films)), False, checks)
    if untold:
        return PromotionDecision(Verdict.INSUFFICIENT_EVIDENCE, _sentence("; ".join(untold + films)), False, checks)
    shown = {check.name: check.words for check in checks}
    reason = "; ".join((shown["not worse"], shown["sensitivity"], *films))
    return PromotionDecision(Verdict.PROMOTE, _sentence(reason), True, checks)


def _check_probe(candidate: GateEvidence) -> Check:
    words = {
        True: "it loads in a fresh process and repeats its probe outputs",
        False: "it does not load in a fresh process or does not repeat its probe outputs",
        None: "nobody has tried whether it loads in a fresh process",
    }
    return Check("loads", candidate.reproduces_probe, words[candidate.reproduces_probe])


def _check_audit(candidate: GateEvidence) -> Check:
    if candidate.audit is None:
        return Check("audit", None, "it was not audited for shortcuts")
    words = {
        AuditVerdict.CLEAN: "the shortcut audit is clean",
        AuditVerdict.SUSPECT: "the shortcut audit is suspect: read its findings",
        AuditVerdict.CONFOUNDED: "the shortcut audit is confounded: it may tell where films come from, not disease",
    }
    return Check("audit", candidate.audit is not AuditVerdict.CONFOUNDED, words[candidate.audit])


def _check_patients(ours: Cohort, candidate: GateEvidence, test: GateTest) -> Check:
    covid, normal = ours.count_patients(ours.is_covid), ours.count_patients(~ours.is_covid)
    enough = min(covid, normal) >= test.min_patients_per_class
    words = (
        f"{covid} covid and {normal} normal test patients; {test.min_patients_per_class} of each are needed to judge"
    )
    as_patients = len({group for group in candidate.patients if is_content_group(group)})
    if as_patients:
        words += f" ({as_patients} of them are X-rays of unknown patients, counted as a patient each)"
    elif candidate.without_patient:
        words += f"; {plural(candidate.without_patient, 'X-ray')} of unknown patients never judge"
    return Check("patients", True if enough else None, words)


def _check_sensitivity(ours: Cohort, candidate: GateEvidence, test: GateTest, seed: int) -> Check:
    statistic = statistics.share(ours, ours.probabilities >= candidate.operating_point.lower, ours.is_covid)
    sensitivity = _share_with_interval(statistic, ours, test, seed)
    passed: bool | None = None
    if sensitivity.low >= test.sensitivity_floor:
        passed = True
    elif sensitivity.value < test.sensitivity_floor:
        passed = False
    words = f"sensitivity {sensitivity} against a floor of {test.sensitivity_floor:.2f}"
    return Check("sensitivity", passed, words if passed is not None else f"{words}: the interval is too wide to tell")


def _share_with_interval(statistic: Statistic, ours: Cohort, test: GateTest, seed: int) -> Interval:
    resampled = resample_statistics({"share": statistic}, ours, resamples=test.resamples, seed=seed)["share"]
    patients, xrays = ours.count_patients(ours.is_covid), int(ours.is_covid.sum())
    interval = share_interval(*resampled, patients=patients, xrays=xrays)
    assert interval is not None, "there are covid patients: the check before asked"
    return interval


def _check_refer_share(ours: Cohort, candidate: GateEvidence, test: GateTest) -> Check:
    point = candidate.operating_point
    share = float(((ours.probabilities >= point.lower) & (ours.probabilities < point.upper)).mean())
    words = f"{share:.0%} of the test X-rays are referred; at most {test.max_refer_share:.0%} may be"
    return Check("refer share", share <= test.max_refer_share, words)


def _check_not_worse(ours: Cohort, theirs: Cohort, champion: str, test: GateTest, seed: int) -> Check:
    difference = compare_auroc(ours, theirs, alpha=test.alpha, resamples=test.resamples, seed=seed)
    whole = np.ones((1, ours.patients), dtype=np.float32)
    both = [float(statistics.auroc(cohort)(whole)[0]) for cohort in (ours, theirs)]
    words = (
        f"AUROC {both[0]:.3f} against {both[1]:.3f} of champion {champion} on the same {len(ours.is_covid)} X-rays "
        f"(difference {difference.value:+.3f}, at least {difference.low:+.3f}; it may be {-test.margin:+.3f})"
    )
    if difference.low > -test.margin:
        return Check("not worse", True, words)
    if difference.high >= -test.margin and difference.value - difference.low > test.margin:
        return Check("not worse", None, f"{words}: the X-rays are too few to tell")
    return Check("not worse", False, words)


def _check_slices(
    ours: Cohort, theirs: Cohort, candidate: GateEvidence, champion: GateEvidence, *, test: GateTest, seed: int
) -> Check:
    points = candidate.operating_point, champion.operating_point
    differences = compare_slices(
        (ours, theirs), points, candidate.slices, alpha=test.alpha, resamples=test.resamples, seed=seed
    )
    collapsed = [
        f"{name} is worse by {-difference.value:.2f}"
        for name, difference in differences.items()
        if difference.value < -test.slice_margin and difference.high < 0
    ]
    if collapsed:
        return Check("slices", False, f"a slice collapses: {', '.join(collapsed)}")
    return Check("slices", True, f"none of {plural(len(differences), 'slice')} collapses")


def _align(champion: GateEvidence, candidate: GateEvidence) -> Cohort:
    """The champion's scores in the candidate's order of X-rays."""
    scores = dict(zip(champion.xrays, champion.probabilities, strict=True))
    if scores.keys() != set(candidate.xrays) or len(scores) != len(candidate.xrays):
        raise ValueError(
            f"candidate {candidate.version} has {len(candidate.xrays)} test X-rays, champion {champion.version} "
            f"{len(scores)}, and not the same ones; expected one frozen test set"
        )
    return make_cohort([scores[sha256] for sha256 in candidate.xrays], candidate.is_covid, candidate.patients)


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}." if words else ""
