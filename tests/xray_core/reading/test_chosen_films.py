"""A test side of films that doubt chose makes a good model read as a bad one; films that chance chose do not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from scipy.special import expit

from tests.xray_core.cohorts import simulate_scores
from xray_core.evaluation import statistics
from xray_core.evaluation.bootstrap import make_cohort
from xray_core.models.records import OperatingPoint
from xray_core.promotion.policy import LabelRules
from xray_core.reading.reading_list import ScoredFilm, rank_films
from xray_core.reading.records import ListReason, Opinion, ReaderRole
from xray_core.reading.settled import settle_label
from xray_core.records import Label

TRUE_AUROC = 0.92
FIELD = 1000  # films that came in, half of them covid
READ = 200
POINT = OperatingPoint(0.5, 0.5, None, None, None, 0, 0, None)
KEY = bytes(range(32))

FIELDS = [pytest.param(10, marks=()), pytest.param(300, marks=pytest.mark.slow)]


def read_auroc(scores: np.ndarray, is_covid: np.ndarray, reasons: Mapping[int, ListReason], rules: LabelRules) -> float:
    """The AUROC of the scores on the films, by place, that judge under these rules."""
    truth = {
        place: settle_label(
            [
                Opinion(
                    "anna",
                    ReaderRole.READER,
                    Label.COVID if is_covid[place] else Label.NORMAL,
                    score_visible=False,
                    chosen_for=reason,
                )
            ],
            rules,
        ).reference.label
        for place, reason in reasons.items()
    }
    judging = [place for place, label in truth.items() if label is not None]
    cohort = make_cohort(
        scores[judging], [truth[place] is Label.COVID for place in judging], [str(place) for place in judging]
    )
    return float(statistics.auroc(cohort)(np.ones((1, cohort.patients), dtype=np.float32))[0])


def choose_films(scores: np.ndarray, run: int, *, doubted: int) -> dict[int, ListReason]:
    """So many films by the real ranking, doubt first, the others of READ by the keyed hash."""
    key = run.to_bytes(32, "big")
    films = [
        ScoredFilm(place, f"{run}-{place}", float(score), is_unlike=False, shadow=None, label=None, is_held_out=True)
        for place, score in enumerate(scores)
    ]
    ranked = rank_films(films, POINT, key, size=2 * FIELD)
    by_chance = [entry for entry in ranked if entry[1] is ListReason.AUDIT]
    by_doubt = [entry for entry in ranked if entry[1] is not ListReason.AUDIT]
    return {place: reason for place, reason, _ in (*by_doubt[:doubted], *by_chance[: READ - doubted])}


@pytest.mark.parametrize("fields", FIELDS)
def test_a_champion_of_92_reads_64_on_worklist_films_alone_and_92_on_those_that_may_judge(fields: int) -> None:
    rng = np.random.default_rng(5)
    everything = LabelRules(chance_test_side=False)
    cases = [("doubt", READ, everything), ("half", READ // 2, everything), ("chance", 0, everything)]
    cases.append(("half, judged by chance films alone", READ // 2, LabelRules()))
    found: dict[str, list[float]] = {name: [] for name, *_ in cases}
    for run in range(fields):
        (log_odds,), is_covid, _ = simulate_scores(rng, patients=FIELD // 2, aurocs=(TRUE_AUROC,), most=1)
        scores = expit(log_odds - log_odds.mean())
        for name, doubted, rules in cases:
            found[name].append(read_auroc(scores, is_covid, choose_films(scores, run, doubted=doubted), rules))

    read = {name: float(np.mean(each)) for name, each in found.items()}
    print({name: f"{np.mean(each):.3f} (se {np.std(each) / np.sqrt(fields):.3f})" for name, each in found.items()})
    error = 0.03 / np.sqrt(fields)
    assert read["doubt"] < 0.70
    assert read["doubt"] < read["half"] < 0.88
    assert read["chance"] == pytest.approx(TRUE_AUROC, abs=3 * error)
    assert read["half, judged by chance films alone"] == pytest.approx(TRUE_AUROC, abs=5 * error)
