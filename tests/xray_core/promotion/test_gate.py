"""Is retraining due, and is the candidate promoted? Every verdict, and the gate's errors by simulation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.stats import betabinom

from tests.xray_core.cohorts import simulate_scores
from tests.xray_core.training.test_split import make_xray
from xray_core.evaluation.intervals import clopper_pearson
from xray_core.evaluation.others import OtherFilms
from xray_core.models.operating_point import choose_operating_point
from xray_core.promotion.due import LabelCounts, TrainingHistory, count_labels, is_retraining_due
from xray_core.promotion.evidence import Beside, GateEvidence
from xray_core.promotion.gate import decide_promotion
from xray_core.promotion.judged_on import JudgedOn
from xray_core.promotion.looks import Look
from xray_core.promotion.policy import GateTest, RetrainingPolicy, Trigger
from xray_core.records import (
    AuditVerdict,
    Held,
    Label,
    LabelledXray,
    Reference,
    Split,
    Standard,
    Verdict,
    is_content_group,
    name_content_group,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = RetrainingPolicy(trigger=Trigger(new_labels=10), test=GateTest(resamples=400))
FIRST_LOOK = Beside(Look(1, NOW))
ENOUGH = LabelCounts(new_labels=12, covid_xrays=40, normal_xrays=40, covid_patients=20, normal_patients=20)


def make_pair(
    candidate_auroc: float, champion_auroc: float, *, patients: int = 60, seed: int = 0, correlation: float = 0.8
) -> tuple[GateEvidence, GateEvidence]:
    """A candidate and a champion with these true AUROCs, judged on the same simulated patients."""
    rng = np.random.default_rng(seed)
    scores, is_covid, names = simulate_scores(
        rng, patients=patients, aurocs=(candidate_auroc, champion_auroc), correlation=correlation
    )
    evidence = [
        GateEvidence(
            version=version,
            xrays=[f"{n:064x}" for n in range(len(names))],
            probabilities=score.tolist(),
            is_covid=is_covid.tolist(),
            patients=names,
            operating_point=choose_operating_point(
                score, is_covid, names, target_sensitivity=0.95, target_specificity=0.8
            ),
            slices={},
        )
        for version, score in zip(("m2", "m1"), scores, strict=True)
    ]
    return replace(evidence[0], reproduces_probe=True, audit=AuditVerdict.CLEAN), evidence[1]


def test_a_jump_past_the_wanted_number_is_due() -> None:
    due = is_retraining_due(ENOUGH, POLICY, TrainingHistory(), now=NOW)

    assert due.due
    assert due.reason == "12 new trainable labels since the last training; 10 wanted"


@pytest.mark.parametrize(
    ("counts", "history", "reason"),
    [
        (replace(ENOUGH, new_labels=9), TrainingHistory(), "9 new trainable labels"),
        (replace(ENOUGH, normal_xrays=3), TrainingHistory(), "3 normal X-rays; 20 of each wanted"),
        (replace(ENOUGH, covid_patients=3), TrainingHistory(), "3 covid and 20 normal patients; 10 of each wanted"),
        (ENOUGH, TrainingHistory(last_automatic=NOW - timedelta(minutes=59)), "ended less than 1 hours ago"),
        (ENOUGH, TrainingHistory(rejections_in_a_row=1), "20 wanted after 1 rejection in a row"),
        (replace(ENOUGH, new_labels=79), TrainingHistory(rejections_in_a_row=50), "80 wanted after 50 rejections"),
    ],
)
def test_a_retraining_that_is_not_due_says_why(counts: LabelCounts, history: TrainingHistory, reason: str) -> None:
    due = is_retraining_due(counts, POLICY, history, now=NOW)

    assert not due.due
    assert reason in due.reason


def test_labels_that_nobody_gave_blind_make_no_training_due_which_could_judge_nobody() -> None:
    counts = replace(
        ENOUGH, unjudged=("covid",), left_out=("7 X-rays of the test side left out, the score was visible",)
    )

    due = is_retraining_due(counts, POLICY, TrainingHistory(), now=NOW)

    assert not due.due
    assert due.reason.startswith("no covid X-ray judges (way out: 7 X-rays of the test side left out, the score was")
    assert is_retraining_due(replace(counts, left_out=()), POLICY, TrainingHistory(), now=NOW).due


def test_a_training_that_a_wrong_clock_dated_into_the_future_holds_up_nothing() -> None:
    history = TrainingHistory(last_automatic=NOW + timedelta(days=3650))

    assert is_retraining_due(ENOUGH, POLICY, history, now=NOW).due


def test_after_the_cool_down_it_is_due_again() -> None:
    history = TrainingHistory(last_automatic=NOW - timedelta(hours=1))

    assert is_retraining_due(ENOUGH, POLICY, history, now=NOW).due


def test_drift_needs_fewer_labels() -> None:
    policy = RetrainingPolicy(trigger=Trigger(new_labels=50, drift_new_labels=10))

    assert not is_retraining_due(ENOUGH, policy, TrainingHistory(), now=NOW).due
    due = is_retraining_due(ENOUGH, policy, TrainingHistory(), now=NOW, has_drifted=True)

    assert due.due
    assert "have moved" in due.reason


def test_an_equally_good_candidate_is_promoted_with_the_figures_in_the_reason() -> None:
    candidate, champion = make_pair(0.95, 0.95, correlation=0.95)

    decision = decide_promotion(candidate, champion, POLICY, beside=FIRST_LOOK)

    assert decision.verdict is Verdict.PROMOTE
    assert decision.proven
    assert decision.reason.startswith("AUROC 0.9")
    assert "of champion m1 on the same" in decision.reason
    assert all(check.passed for check in decision.checks)


def test_a_clearly_worse_candidate_is_rejected() -> None:
    candidate, champion = make_pair(0.75, 0.95)

    decision = decide_promotion(candidate, champion, POLICY, beside=FIRST_LOOK)

    assert decision.verdict is Verdict.REJECT
    assert "not worse" in {check.name for check in decision.checks if check.passed is False}


def test_fewer_than_thirty_patients_of_a_class_are_insufficient_evidence() -> None:
    candidate, champion = make_pair(0.95, 0.95, patients=29)

    decision = decide_promotion(candidate, champion, POLICY, beside=FIRST_LOOK)

    assert decision.verdict is Verdict.INSUFFICIENT_EVIDENCE
    assert decision.reason.startswith("29 covid and 29 normal test patients; 30 of each are needed to judge")


def test_intervals_too_wide_for_an_equal_candidate_are_insufficient_evidence() -> None:
    candidate, champion = make_pair(0.85, 0.85, patients=30, correlation=0.0, seed=3)

    decision = decide_promotion(candidate, champion, POLICY, beside=FIRST_LOOK)

    assert decision.verdict is Verdict.INSUFFICIENT_EVIDENCE
    assert "too few to tell" in decision.reason


@pytest.mark.parametrize("patients", [10, 60])
def test_a_confounded_candidate_is_rejected_however_many_patients_there_are(patients: int) -> None:
    candidate, champion = make_pair(0.95, 0.95, patients=patients, correlation=0.95)

    decision = decide_promotion(replace(candidate, audit=AuditVerdict.CONFOUNDED), champion, POLICY, beside=FIRST_LOOK)

    assert decision.verdict is Verdict.REJECT
    assert "the shortcut audit is confounded" in decision.reason.casefold()


def test_a_suspect_audit_alone_does_not_stop_a_candidate() -> None:
    candidate, champion = make_pair(0.95, 0.95, correlation=0.95)

    decision = decide_promotion(replace(candidate, audit=AuditVerdict.SUSPECT), champion, POLICY, beside=FIRST_LOOK)

    assert decision.verdict is Verdict.PROMOTE


def test_a_candidate_that_does_not_load_is_rejected_even_as_the_first() -> None:
    candidate, champion = make_pair(0.95, 0.95, correlation=0.95)
    broken = replace(candidate, reproduces_probe=False)

    assert decide_promotion(broken, champion, POLICY, beside=FIRST_LOOK).verdict is Verdict.REJECT
    assert decide_promotion(broken, None, POLICY, beside=FIRST_LOOK).verdict is Verdict.REJECT


def test_a_first_model_is_champion_and_unproven_and_its_doubts_are_named() -> None:
    candidate, _ = make_pair(0.95, 0.95, patients=12)

    decision = decide_promotion(replace(candidate, audit=AuditVerdict.CONFOUNDED), None, POLICY, beside=FIRST_LOOK)

    assert decision.verdict is Verdict.PROMOTE
    assert not decision.proven
    assert "unproven" in decision.reason
    assert "confounded" in decision.reason
    assert "12 covid and 12 normal test patients" in decision.reason


def test_a_candidate_that_misses_covid_is_rejected() -> None:
    candidate, champion = make_pair(0.95, 0.95, correlation=0.95)
    blunt = replace(candidate, operating_point=replace(candidate.operating_point, lower=0.99, upper=0.995))

    decision = decide_promotion(blunt, champion, POLICY, beside=FIRST_LOOK)

    assert decision.verdict is Verdict.REJECT
    assert "against a floor of 0.80" in decision.reason


def test_a_candidate_that_refers_nearly_everything_is_rejected() -> None:
    candidate, champion = make_pair(0.95, 0.95, correlation=0.95)
    shy = replace(candidate, operating_point=replace(candidate.operating_point, lower=0.001, upper=0.9999))

    decision = decide_promotion(shy, champion, POLICY, beside=FIRST_LOOK)

    assert decision.verdict is Verdict.REJECT
    assert "are referred; at most 60%" in decision.reason


def test_a_candidate_without_thresholds_is_no_failure_but_cannot_be_told_and_the_way_out_is_named() -> None:
    candidate, champion = make_pair(0.95, 0.95, correlation=0.95)
    few = choose_operating_point([0.1, 0.9] * 12, [False, True] * 12, [str(n) for n in range(24)])

    decision = decide_promotion(replace(candidate, operating_point=few), champion, POLICY, beside=FIRST_LOOK)

    assert decision.verdict is Verdict.INSUFFICIENT_EVIDENCE
    assert "12 covid patients on the validation side, 19 are needed" in decision.reason


def test_a_collapsed_slice_stops_a_candidate_that_is_as_good_on_the_whole() -> None:
    candidate, champion = make_pair(0.98, 0.95, patients=400, correlation=0.95)
    rng = np.random.default_rng(1)
    views = np.where(rng.random(len(candidate.xrays)) < 0.07, "lateral", "PA")
    muddled = np.where(views == "lateral", rng.random(len(views)), candidate.probabilities)
    candidate = replace(candidate, probabilities=muddled.tolist(), slices={"view": views.tolist()})

    decision = decide_promotion(candidate, champion, POLICY, beside=FIRST_LOOK)

    assert decision.verdict is Verdict.REJECT
    assert "a slice collapses: view lateral is worse by" in decision.reason.casefold()
    assert {check.name: check.passed for check in decision.checks}["not worse"]


def test_the_champions_scores_are_matched_by_content_and_not_by_place() -> None:
    candidate, champion = make_pair(0.95, 0.95, correlation=0.95)
    shuffled = replace(champion, xrays=champion.xrays[::-1], probabilities=champion.probabilities[::-1])

    assert decide_promotion(candidate, shuffled, POLICY, beside=FIRST_LOOK) == decide_promotion(
        candidate, champion, POLICY, beside=FIRST_LOOK
    )


def test_models_that_were_judged_on_different_x_rays_are_not_compared() -> None:
    candidate, champion = make_pair(0.95, 0.95)
    other = replace(champion, xrays=["f" * 64, *champion.xrays[1:]])

    with pytest.raises(ValueError, match="one frozen test set"):
        decide_promotion(candidate, other, POLICY, beside=FIRST_LOOK)


def with_unknown(evidence: GateEvidence, share: float) -> GateEvidence:
    """The same X-rays, of which the first part is of unknown patients."""
    number = round(share * len(evidence.xrays))
    nobody = [name_content_group(sha256) for sha256 in evidence.xrays[:number]]
    return replace(evidence, patients=[*nobody, *evidence.patients[number:]])


@pytest.mark.parametrize(("share", "enough"), [(0.08, True), (0.12, False), (1.0, False)])
def test_more_than_a_tenth_of_the_test_x_rays_without_a_patient_judge_nobody(share: float, *, enough: bool) -> None:
    candidate, champion = make_pair(0.95, 0.95, patients=200, correlation=0.95)

    decision = decide_promotion(with_unknown(candidate, share), champion, POLICY, beside=FIRST_LOOK)

    assert (decision.verdict is Verdict.PROMOTE) == enough
    if not enough:
        assert decision.verdict is Verdict.INSUFFICIENT_EVIDENCE
        assert "are of unknown patients, at most 10% may be" in decision.reason
        assert "`xray patients import CSV` says whose X-rays are" in decision.reason


def test_known_patients_are_counted_and_not_films_of_nobody() -> None:
    candidate, champion = make_pair(0.95, 0.95, patients=100, correlation=0.95)
    some = with_unknown(candidate, 0.05)
    known = len({patient for patient in some.patients if not is_content_group(patient)})

    decision = decide_promotion(some, champion, POLICY, beside=FIRST_LOOK)

    assert known < 200
    assert f"judged on {known} patients" in decision.reason


def test_every_reason_of_a_comparison_says_which_look_it_was_on_whom_and_beside_whom() -> None:
    candidate, champion = make_pair(0.95, 0.95, correlation=0.95)
    beside = Beside(Look(7, datetime(2026, 11, 2, tzinfo=UTC)), benchmark=replace(champion, version="m0"))

    for ours in (candidate, worsen(candidate, "not worse"), replace(candidate, audit=None)):
        decision = decide_promotion(ours, champion, POLICY, beside=beside)
        assert (
            "look 7 at this side (renewed 2026-11-02), judged on 120 patients, beside champion m1 and benchmark m0; "
            "0.0006 of the chance of 0.05 is spent at it" in decision.reason
        )


def test_the_same_candidate_that_passes_at_look_one_does_not_at_look_seven() -> None:
    candidate, champion = make_pair(0.95, 0.95, correlation=0.9)
    seventh = Beside(Look(7, NOW))

    assert decide_promotion(candidate, champion, POLICY, beside=FIRST_LOOK).verdict is Verdict.PROMOTE
    decision = decide_promotion(candidate, champion, POLICY, beside=seventh)

    assert decision.verdict is Verdict.INSUFFICIENT_EVIDENCE
    assert "too few to tell" in decision.reason


def test_a_candidate_that_is_worse_than_the_benchmark_alone_is_not_promoted() -> None:
    candidate, champion = make_pair(0.86, 0.86, patients=200, correlation=0.95)
    _, benchmark = make_pair(0.86, 0.98, patients=200, correlation=0.95)

    decision = decide_promotion(
        candidate, champion, POLICY, beside=replace(FIRST_LOOK, benchmark=replace(benchmark, version="m0"))
    )

    assert decision.verdict is Verdict.REJECT
    assert [check.name for check in decision.checks if check.passed is not True] == ["benchmark"]
    assert "of benchmark m0" in decision.reason


def test_a_look_is_taken_where_chance_could_promote_and_nowhere_else() -> None:
    candidate, champion = make_pair(0.95, 0.95, correlation=0.95)
    confounded = replace(candidate, audit=AuditVerdict.CONFOUNDED)
    kept_out = decide_promotion(confounded, champion, POLICY, beside=FIRST_LOOK)

    assert decide_promotion(candidate, champion, POLICY, beside=FIRST_LOOK).took_look
    assert decide_promotion(worsen(candidate, "not worse"), champion, POLICY, beside=FIRST_LOOK).took_look
    assert not decide_promotion(candidate, None, POLICY, beside=FIRST_LOOK).took_look
    assert not kept_out.took_look
    assert "nothing of the chance of 0.05 is spent at it" in kept_out.reason


def count_promoted(candidate_auroc: float, champion_auroc: float, patients: int, comparisons: int) -> int:
    verdicts = [
        decide_promotion(
            *make_pair(candidate_auroc, champion_auroc, patients=patients, seed=seed),
            POLICY,
            beside=FIRST_LOOK,
            seed=seed,
        ).verdict
        for seed in range(comparisons)
    ]
    return verdicts.count(Verdict.PROMOTE)


@pytest.mark.lengthy
def test_a_candidate_worse_by_the_margin_is_promoted_in_five_of_a_hundred_comparisons_at_most() -> None:
    assert count_promoted(0.87, 0.92, patients=30, comparisons=200) <= 19  # 10, and three standard errors of 3.1


def test_an_equal_candidate_is_promoted_in_most_comparisons_with_a_hundred_patients_a_class() -> None:
    assert count_promoted(0.92, 0.92, patients=100, comparisons=40) >= 32


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("patients", [30, 60, 100])
@pytest.mark.parametrize("champion_auroc", [0.85, 0.92, 0.98])
def test_the_gate_keeps_its_error_rate_in_every_setting(patients: int, champion_auroc: float) -> None:
    promoted = count_promoted(champion_auroc - 0.05, champion_auroc, patients, comparisons=1000)

    assert promoted <= 50 + 3 * 6.9


def worsen(candidate: GateEvidence, how: str) -> GateEvidence:
    """The same candidate with one thing wrong."""
    point = candidate.operating_point
    match how:
        case "loads":
            return replace(candidate, reproduces_probe=False)
        case "audit":
            return replace(candidate, audit=AuditVerdict.CONFOUNDED)
        case "sensitivity":
            return replace(candidate, operating_point=replace(point, lower=0.99, upper=0.995))
        case "refer share":
            return replace(candidate, operating_point=replace(point, lower=0.001, upper=0.9999))
        case "not worse":
            scores = np.asarray(candidate.probabilities)
            noise = np.random.default_rng(0).random(len(scores))
            # Half of the ranking lost, with thresholds that still find covid and refer few.
            blurred = 0.5 * scores + 0.5 * noise
            return replace(
                candidate,
                probabilities=blurred.tolist(),
                operating_point=choose_operating_point(
                    blurred, candidate.is_covid, candidate.patients, target_sensitivity=0.95, target_specificity=0.5
                ),
            )
        case _:
            views = np.where(np.random.default_rng(1).random(len(candidate.xrays)) < 0.07, "lateral", "PA")
            muddled = np.where(views == "lateral", np.random.default_rng(2).random(len(views)), candidate.probabilities)
            return replace(candidate, probabilities=muddled.tolist(), slices={"view": views.tolist()})


@pytest.mark.parametrize("how", ["loads", "audit", "sensitivity", "refer share", "not worse", "slices"])
def test_each_condition_decides_alone_with_every_other_one_met(how: str) -> None:
    candidate, champion = make_pair(0.98, 0.95, patients=400, correlation=0.95)
    assert decide_promotion(candidate, champion, POLICY, beside=FIRST_LOOK).verdict is Verdict.PROMOTE

    decision = decide_promotion(worsen(candidate, how), champion, POLICY, beside=FIRST_LOOK)

    assert decision.verdict is Verdict.REJECT
    assert [check.name for check in decision.checks if check.passed is not True] == [how]


def test_too_few_patients_alone_judge_nobody() -> None:
    candidate, champion = make_pair(0.98, 0.95, patients=29, correlation=0.95)

    decision = decide_promotion(candidate, champion, POLICY, beside=FIRST_LOOK)

    assert decision.verdict is Verdict.INSUFFICIENT_EVIDENCE
    assert [check.name for check in decision.checks if check.passed is not True] == ["patients"]


@pytest.mark.parametrize(("change", "name"), [({"audit": None}, "audit"), ({"reproduces_probe": None}, "loads")])
def test_what_nobody_has_tried_is_insufficient_evidence(change: dict[str, None], name: str) -> None:
    candidate, champion = make_pair(0.98, 0.95, patients=400, correlation=0.95)

    decision = decide_promotion(replace(candidate, **change), champion, POLICY, beside=FIRST_LOOK)

    assert decision.verdict is Verdict.INSUFFICIENT_EVIDENCE
    assert [check.name for check in decision.checks if check.passed is not True] == [name]


def with_others(evidence: GateEvidence, share_negative: float, films: int = 40) -> GateEvidence:
    """The same model with films labelled other, so many of which it calls negative and the rest positive."""
    negative = round(films * share_negative)
    scores = [0.0] * negative + [1.0] * (films - negative)
    return replace(evidence, others=OtherFilms(scores, [f"other {n}" for n in range(films)]))


def test_films_labelled_other_are_told_beside_normal_ones_in_the_reason_of_every_verdict() -> None:
    equal, worse = make_pair(0.95, 0.95, correlation=0.95), make_pair(0.75, 0.95)

    for verdict, (candidate, other) in ((Verdict.PROMOTE, equal), (Verdict.REJECT, worse)):
        decision = decide_promotion(with_others(candidate, 0.75), with_others(other, 0.75), POLICY, beside=FIRST_LOOK)

        assert decision.verdict is verdict
        assert "Among 40 X-rays of 40 patients labelled other specificity is 0.75 (" in decision.reason
        assert "(among normal ones 0." in decision.reason


def test_a_candidate_that_takes_other_findings_for_covid_is_rejected() -> None:
    candidate, champion = make_pair(0.95, 0.95, correlation=0.95)

    decision = decide_promotion(with_others(candidate, 0.3), with_others(champion, 0.9), POLICY, beside=FIRST_LOOK)

    assert decision.verdict is Verdict.REJECT
    assert "0.60 more of them are called positive than by the champion" in decision.reason


def test_few_other_findings_reject_nobody_and_are_told() -> None:
    candidate, champion = make_pair(0.95, 0.95, correlation=0.95)

    decision = decide_promotion(
        with_others(candidate, 0.3, films=9), with_others(champion, 0.9, films=9), POLICY, beside=FIRST_LOOK
    )

    assert decision.verdict is Verdict.PROMOTE
    assert "Among 9 X-rays of 9 patients labelled other" in decision.reason


def test_the_reason_says_on_whom_it_judged_whatever_the_verdict() -> None:
    judged_on = JudgedOn({Standard.TWO_BLINDED: 61, Standard.ADJUDICATED: 15, Standard.DATASET: 8}, {Held.VISIBLE: 12})
    words = "Judged on 84 patients: 61 by two blinded readers, 15 adjudicated, 8 dataset; 12 X-rays left out, the score"
    for candidate, champion in (
        make_pair(0.95, 0.95, correlation=0.95),
        make_pair(0.75, 0.95),
        make_pair(0.9, 0.9, patients=9),
    ):
        decision = decide_promotion(replace(candidate, judged_on=judged_on), champion, POLICY, beside=FIRST_LOOK)

        assert words in decision.reason
    assert words in decide_promotion(replace(candidate, judged_on=judged_on), None, POLICY, beside=FIRST_LOOK).reason


def xray_of(number: int, label: Label, group: str, **more: object) -> LabelledXray:
    return replace(make_xray(number, group, label), **more)  # type: ignore[arg-type]


def test_labels_count_as_new_on_the_side_where_they_count() -> None:
    sides = {"train": Split.TRAIN, "test": Split.TEST}
    seen = Reference(None, held=Held.VISIBLE)
    now = [
        xray_of(1, Label.COVID, "train"),  # another label than before
        xray_of(2, Label.COVID, "train"),  # a second reader who agrees
        xray_of(3, Label.NORMAL, "train", held=Held.DISPUTED),
        xray_of(4, Label.NORMAL, "test", reference=seen),
        xray_of(5, Label.NORMAL, "test"),  # read blind since then
        xray_of(6, Label.OTHER, "train"),
    ]
    before = [xray_of(1, Label.NORMAL, "train"), now[1], xray_of(5, Label.NORMAL, "test", reference=seen)]

    counts = count_labels(now, before, sides, {Held.VISIBLE: 1}, unknown_may_judge=False)

    assert counts.unjudged == ("covid",)
    assert counts.left_out == (
        "1 X-ray of the test side left out, the score was visible (`xray export --for-review` has another reader "
        "read every film without it)",
    )
    assert replace(counts, unjudged=(), left_out=()) == LabelCounts(
        new_labels=3, covid_xrays=2, normal_xrays=1, covid_patients=1, normal_patients=1
    )


@pytest.mark.parametrize(
    ("chosen_on", "judged_on", "passes"), [(30, 30, 0.754), (100, 30, 0.579), (60, 60, 0.864), (100, 100, 0.967)]
)
def test_the_price_of_the_sensitivity_floor_is_what_the_page_of_the_gate_says(
    chosen_on: int, judged_on: int, passes: float
) -> None:
    """Exact for an X-ray a patient: what a conformal threshold keeps follows a beta distribution (Vovk 2012)."""
    missed = int(0.05 * (chosen_on + 1))
    needed = next(n for n in range(judged_on + 1) if clopper_pearson(n, judged_on)[0] >= 0.80)

    found = betabinom.sf(needed - 1, judged_on, chosen_on + 1 - missed, missed)

    assert found == pytest.approx(passes, abs=5e-4)
