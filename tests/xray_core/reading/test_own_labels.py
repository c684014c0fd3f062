"""A champion judged by labels that its own scores have coloured stays champion; by blinded labels it does not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.xray_core.cohorts import simulate_scores
from xray_core.evaluation import statistics
from xray_core.evaluation.bootstrap import Floats, make_cohort
from xray_core.promotion.policy import LabelRules
from xray_core.reading.records import Opinion, ReaderRole
from xray_core.reading.settled import settle_label
from xray_core.records import Label

CHAMPION, CANDIDATE = 0.80, 0.88  # true AUROC: the champion is worse by 0.08
FILMS_PER_CLASS = 100
READER_IS_RIGHT = 0.97
FOLLOWS_A_WRONG_CHAMPION = 0.30
# At this correlation of the two models' scores the old way is as bad as when it was found: 32 in 100.
CORRELATION = 0.33

OLD_WAYS = LabelRules(hold_disputes=False, blind_test_side=False)


def read_films(
    rng: np.random.Generator, is_covid: NDArray[np.bool_], champion: Floats
) -> list[tuple[Opinion, Opinion]]:
    """What one reader says of each film, first blind, then beside the champion's score."""
    blind = np.where(rng.random(len(is_covid)) < READER_IS_RIGHT, is_covid, ~is_covid)
    called = champion >= np.median(champion)
    follows = (called != is_covid) & (rng.random(len(is_covid)) < FOLLOWS_A_WRONG_CHAMPION)
    seen = np.where(follows, called, blind)
    return [(say(first, seen=False), say(second, seen=True)) for first, second in zip(blind, seen, strict=True)]


def say(is_covid: np.bool_, *, seen: bool) -> Opinion:
    return Opinion("anna", ReaderRole.READER, Label.COVID if is_covid else Label.NORMAL, score_visible=seen)


def is_candidate_ahead(opinions: list[tuple[Opinion, Opinion]], rules: LabelRules, scores: list[Floats]) -> bool:
    """By the labels that judge under these rules."""
    truth = [settle_label(film, rules).reference.label is Label.COVID for film in opinions]
    patients = [str(film) for film in range(len(truth))]
    whole = np.ones((1, len(truth)), dtype=np.float32)
    champion, candidate = (float(statistics.auroc(make_cohort(score, truth, patients))(whole)[0]) for score in scores)
    return candidate > champion


@pytest.mark.parametrize(
    "cohorts", [pytest.param(100, marks=pytest.mark.lengthy), pytest.param(2000, marks=pytest.mark.slow)]
)
def test_a_champion_worse_by_eight_hundredths_no_longer_survives_through_its_own_labels(cohorts: int) -> None:
    """Simulated by 2,000 cohorts of 200 films: the candidate is ahead in 98.8 of 100 by blinded labels, by those that
    were given beside the champion's score in 32.5."""
    rng = np.random.default_rng(13)
    ahead = dict.fromkeys((LabelRules(), OLD_WAYS), 0)
    for _ in range(cohorts):
        scores, is_covid, _ = simulate_scores(
            rng, patients=FILMS_PER_CLASS, aurocs=(CHAMPION, CANDIDATE), correlation=CORRELATION, most=1
        )
        opinions = read_films(rng, is_covid, scores[0])
        for rules in ahead:
            ahead[rules] += is_candidate_ahead(opinions, rules, scores)

    by_blinded, by_own = (number / cohorts for number in ahead.values())
    print(
        f"{cohorts} cohorts: the candidate is ahead in {by_blinded:.1%} by blinded labels, in {by_own:.1%} by its own"
    )
    assert by_blinded > 0.96
    assert by_own < 0.45
