"""Beside every "no" stands a way out: every check of the gate, every reason that no retraining is due."""

from __future__ import annotations

import ast
import inspect
import math
import pkgutil
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from importlib import import_module

import pytest

from tests.xray_core.promotion.test_gate import ENOUGH, FIRST_LOOK, NOW, POLICY, make_pair, with_others, worsen
from xray_core import promotion
from xray_core.evaluation.comparison import Difference
from xray_core.models.operating_point import choose_operating_point
from xray_core.promotion import due
from xray_core.promotion.due import LabelCounts, TrainingHistory, is_retraining_due
from xray_core.promotion.evidence import Beside, GateEvidence, PlaceEvidence
from xray_core.promotion.gate import decide_promotion
from xray_core.promotion.more_patients import count_more, say_more_labelled
from xray_core.promotion.policy import UnknownPatients
from xray_core.records import AuditVerdict, Split, Verdict

Pair = tuple[GateEvidence, GateEvidence]
Triple = tuple[GateEvidence, GateEvidence, Beside]


def good(**changes: object) -> Pair:
    candidate, champion = make_pair(0.98, 0.95, patients=400, correlation=0.95)
    return replace(candidate, **changes), champion  # type: ignore[arg-type]


def spoil(how: str) -> Pair:
    candidate, champion = good()
    return worsen(candidate, how), champion


def near_the_floor() -> Pair:
    """A sensitivity above the floor whose interval begins below it."""
    candidate, champion = make_pair(0.95, 0.95, patients=60, correlation=0.95)
    point = choose_operating_point(
        candidate.probabilities, candidate.is_covid, candidate.patients, target_sensitivity=0.83
    )
    return replace(candidate, operating_point=point), champion


def good_at(place: PlaceEvidence) -> Triple:
    return (*good(), replace(FIRST_LOOK, places=(place,)))


def ranks_backwards() -> PlaceEvidence:
    """A place where the candidate gives normal films the higher scores."""
    candidate, _ = make_pair(0.9, 0.9, patients=40, seed=5)
    return PlaceEvidence("siteB", replace(candidate, probabilities=[1 - p for p in candidate.probabilities]))


def takes_others_for_covid() -> Pair:
    candidate, champion = good()
    return with_others(candidate, 0.3), with_others(champion, 0.9)


# What makes each check say no, by the function that makes it, each as often as it can say no in another way.
NOES: dict[str, list[tuple[Callable[[], Pair | Triple], str]]] = {
    "check_probe": [
        (lambda: good(reproduces_probe=False), "`xray models promote m2`"),
        (lambda: good(reproduces_probe=None), "`xray models promote m2`"),
    ],
    "check_audit": [
        (lambda: good(audit=None), "`xray models audit m2`"),
        (
            lambda: good(audit=AuditVerdict.CONFOUNDED, release="about 480 labelled films of your own"),
            "about 480 labelled films of your own",
        ),
    ],
    "check_films": [(lambda: good(unread={Split.TEST: 2}), "`xray verify --let-go`")],
    "check_patients": [
        (lambda: make_pair(0.95, 0.95, patients=15), "about 75 more labelled covid patients and about 75 more"),
    ],
    "check_sensitivity": [
        (lambda: spoil("sensitivity"), "`test.sensitivity_floor`"),
        (near_the_floor, "more labelled covid patients, should it stay at 0."),
    ],
    "check_refer_share": [(lambda: spoil("refer share"), "`test.max_refer_share`")],
    "check_not_worse": [
        (lambda: spoil("not worse"), "`xray models compare m1 m2`"),
        (
            lambda: make_pair(0.85, 0.85, patients=30, correlation=0.0, seed=3),
            "more labelled covid and normal patients",
        ),
    ],
    "check_elsewhere": [
        (lambda: good_at(PlaceEvidence("siteB")), "`xray models evaluate --on FOLDER --name siteB`"),
        (lambda: good_at(ranks_backwards()), "labelled films of siteB to train on"),
    ],
    "check_kept_apart": [(lambda: good(cross_validated=True), "`xray models promote m2 --override")],
    "check_others": [(takes_others_for_covid, "`test.slice_margin`")],
    "check_slices": [(lambda: spoil("slices"), "`test.slice_margin`")],
}


def find_checks() -> set[str]:
    """The name of every function of the room that makes a check; a private one gathers what these make."""
    modules = [
        import_module(found.name) for found in pkgutil.iter_modules(promotion.__path__, f"{promotion.__name__}.")
    ]
    functions = [pair for module in modules for pair in inspect.getmembers(module, inspect.isfunction)]
    public = [(name, function) for name, function in functions if not name.startswith("_")]
    return {name for name, function in public if re.search(r"\bCheck\b", function.__annotations__.get("return", ""))}


def test_every_check_of_the_gate_is_seen_to_say_no_here() -> None:
    assert find_checks() == NOES.keys()


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, noes in NOES.items() for number in range(len(noes))]
)
def test_a_check_that_says_no_says_the_way_out(name: str, number: int) -> None:
    make, way_out = NOES[name][number]
    candidate, champion, *beside = make()

    decision = decide_promotion(candidate, champion, POLICY, beside=beside[0] if beside else FIRST_LOOK)

    noes = [check for check in decision.checks if check.passed is not True]
    assert any(way_out in check.way_out for check in noes), noes
    for check in noes:
        assert check.way_out
        assert f"(way out: {check.way_out})" in check.words
        if any(check.passed is False for check in noes) == (check.passed is False):
            assert check.way_out in decision.reason


def test_a_first_model_that_is_instated_with_doubts_says_the_way_out_of_each() -> None:
    candidate, _ = make_pair(0.95, 0.95, patients=12)

    decision = decide_promotion(replace(candidate, audit=AuditVerdict.CONFOUNDED), None, POLICY, beside=FIRST_LOOK)

    assert "`xray models audit --remedies DATASET`" in decision.reason
    assert "about 90 more labelled covid patients" in decision.reason


def test_a_first_model_that_cross_validation_judged_is_instated_as_its_reason_says_and_no_later_one() -> None:
    candidate, champion = make_pair(0.95, 0.95)
    unseen = replace(candidate, cross_validated=True)

    first, later = (decide_promotion(unseen, other, POLICY, beside=FIRST_LOOK) for other in (None, champion))

    assert (first.verdict, first.proven) == (Verdict.PROMOTE, False)
    assert "it is instated only for there is no champion, and nothing is proven by that" in first.reason
    assert "--override" not in first.reason  # it is champion already
    assert later.verdict is Verdict.INSUFFICIENT_EVIDENCE
    assert "instated" not in later.reason


def test_films_of_unknown_patients_are_named_as_a_way_out_of_too_few() -> None:
    candidate, champion = make_pair(0.95, 0.95, patients=15)
    by_policy = replace(POLICY, test=replace(POLICY.test, unknown_patients=UnknownPatients.NEVER_JUDGE))

    decision = decide_promotion(replace(candidate, without_patient=9), champion, by_policy, beside=FIRST_LOOK)

    assert "`xray patients import CSV` says whose X-rays are" in decision.reason


@pytest.mark.parametrize(
    ("counts", "history", "way_out"),
    [
        (replace(ENOUGH, new_labels=9), TrainingHistory(), "1 more label, `xray worklist`"),
        (replace(ENOUGH, normal_xrays=3), TrainingHistory(), "label 17 more normal X-rays"),
        (replace(ENOUGH, covid_patients=3), TrainingHistory(), "label X-rays of 7 more covid patients"),
        (ENOUGH, TrainingHistory(last_automatic=NOW - timedelta(minutes=59)), "after 12:01 UTC"),
        (
            replace(ENOUGH, unjudged=("covid",), left_out=("7 X-rays (`xray review`)",)),
            TrainingHistory(),
            "`xray review`",
        ),
    ],
)
def test_a_retraining_that_is_not_due_says_the_way_out(
    counts: LabelCounts, history: TrainingHistory, way_out: str
) -> None:
    said = is_retraining_due(counts, POLICY, history, now=NOW)

    assert not said.due
    assert way_out in said.way_out
    assert f"(way out: {said.way_out})" in said.reason
    assert said.lines == [said.finding, *(f"  way out: {way}" for way in said.way_out.split("; "))]
    assert max(map(len, said.lines)) <= 160  # two lines of a terminal
    assert "`trigger." in said.way_out or "`labels." in said.way_out


def test_every_reason_that_no_retraining_is_due_stands_in_the_test_above() -> None:
    calls = (node for node in ast.walk(ast.parse(inspect.getsource(due))) if isinstance(node, ast.Call))
    noes = [call for call in calls if ast.unparse(call).startswith("Due(False")]
    parametrize = test_a_retraining_that_is_not_due_says_the_way_out.pytestmark[0]  # type: ignore[attr-defined]

    assert len(noes) == len(parametrize.args[1])


def test_as_many_more_patients_are_named_as_narrow_the_interval_to_the_bound() -> None:
    assert count_more(100, Difference(0.0, -0.1, 0.1), -0.05) == pytest.approx(300)
    assert count_more(100, Difference(0.0, -0.02, 0.1), -0.05) == 0
    assert math.isinf(count_more(100, Difference(-0.06, -0.1, 0.1), -0.05))
    assert say_more_labelled(15, "covid") == "about 75 more labelled covid patients"
    assert say_more_labelled(math.inf, "covid") == "more than 10,000 more labelled covid patients"
