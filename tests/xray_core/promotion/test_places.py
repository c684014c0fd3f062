"""What a candidate must show on films of another place that the policy names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.xray_core.promotion.test_gate import FIRST_LOOK, POLICY, make_pair
from xray_core.promotion.evidence import GateEvidence, PlaceEvidence
from xray_core.promotion.gate import PromotionDecision, decide_promotion
from xray_core.records import Verdict


def decide(place: PlaceEvidence) -> PromotionDecision:
    """A candidate that is good here, and so at the place."""
    candidate, champion = make_pair(0.98, 0.95, patients=400, correlation=0.95)
    return decide_promotion(candidate, champion, POLICY, beside=replace(FIRST_LOOK, places=(place,)))


def failing(decision: PromotionDecision) -> list[str]:
    return [check.name for check in decision.checks if check.passed is not True]


def test_who_does_well_there_too_is_promoted() -> None:
    there = make_pair(0.9, 0.9, patients=200, correlation=0.95, seed=3)

    assert decide(PlaceEvidence("siteB", *there)).verdict is Verdict.PROMOTE


def test_who_ranks_backwards_there_is_rejected_and_the_reason_says_where() -> None:
    candidate, champion = make_pair(0.9, 0.9, patients=60, correlation=0.95, seed=3)
    backwards = replace(candidate, probabilities=[1 - p for p in candidate.probabilities])

    decision = decide(PlaceEvidence("siteB", backwards, champion))

    assert decision.verdict is Verdict.REJECT
    assert failing(decision) == ["external siteB", "external siteB, not worse"]
    assert "n siteB its AUROC is 0." in decision.reason


def make_backwards_but_within_views(*, known: int) -> GateEvidence:
    """Over all pairs it ranks backwards, for it takes the view PA of most normal films for covid; within a view it is
    good. The views of the first `known` patients of each 100 of a class are known.
    """
    candidate, _ = make_pair(0.95, 0.95, patients=100, seed=3)
    films = list(zip(map(int, candidate.patients), candidate.is_covid, candidate.probabilities, strict=True))
    views = ["AP" if covid is (patient % 5 > 0) else "PA" for patient, covid, _ in films]
    return replace(
        candidate,
        probabilities=[0.4 * p + 0.5 * (view == "PA") for view, (_, _, p) in zip(views, films, strict=True)],
        slices={
            "view": [
                view if patient % 100 < known else "unknown" for view, (patient, _, _) in zip(views, films, strict=True)
            ]
        },
    )


@pytest.mark.parametrize("known", [30, 100])
def test_who_ranks_backwards_there_is_not_saved_by_pairs_of_one_view(known: int) -> None:
    decision = decide(PlaceEvidence("siteB", make_backwards_but_within_views(known=known)))

    assert decision.verdict is Verdict.REJECT
    assert failing(decision) == ["external siteB"]
    assert "tells the class by itself" in decision.reason


def test_a_few_films_of_known_view_block_nobody() -> None:
    candidate, _ = make_pair(0.95, 0.95, patients=100, seed=3)
    films = zip(map(int, candidate.patients), candidate.is_covid, strict=True)
    views = [("AP" if covid else "PA") if patient % 100 < 15 else "unknown" for patient, covid in films]

    decision = decide(PlaceEvidence("siteB", replace(candidate, slices={"view": views})))

    assert decision.verdict is Verdict.PROMOTE


def test_who_is_better_than_chance_there_and_worse_than_the_champion_is_rejected() -> None:
    there = make_pair(0.7, 0.95, patients=200, correlation=0.8, seed=3)

    decision = decide(PlaceEvidence("siteB", *there))

    assert decision.verdict is Verdict.REJECT
    assert failing(decision) == ["external siteB, not worse"]


@pytest.mark.parametrize("place", [PlaceEvidence("siteB"), PlaceEvidence("siteB", make_pair(0.6, 0.6, patients=12)[0])])
def test_films_that_cannot_be_read_or_are_too_few_are_insufficient_evidence(place: PlaceEvidence) -> None:
    decision = decide(place)

    assert decision.verdict is Verdict.INSUFFICIENT_EVIDENCE
    assert failing(decision) == ["external siteB"]


def test_films_of_unknown_patients_or_of_no_shared_view_cannot_tell_that_it_does_well_there() -> None:
    there = make_pair(0.9, 0.9, patients=200, correlation=0.95, seed=3)
    films, views = (
        [replace(one, patients=[f"content:{sha256}" for sha256 in one.xrays]) for one in there],
        [replace(one, slices={"view": ["AP" if covid else "PA" for covid in one.is_covid]}) for one in there],
    )

    unknown, unshared = decide(PlaceEvidence("siteB", *films)), decide(PlaceEvidence("siteB", *views))

    assert failing(unknown) == failing(unshared) == ["external siteB"]
    assert "X-rays are of unknown patients, at most 10% may be" in unknown.reason
    assert 'siteB = {folder = "...", patients = "..."}` in the policy says whose they are' in unknown.reason
    assert "disease and view cannot be told apart" in unshared.reason
