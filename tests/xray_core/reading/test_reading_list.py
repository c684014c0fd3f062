"""What a list holds, and that its chance is one."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.stats import beta

from xray_core.models.records import OperatingPoint
from xray_core.reading.reading_list import (
    AUDIT_SHARE,
    OwnReading,
    ScoredFilm,
    compose_list,
    draw_audit,
    find_label_errors,
    find_reach,
    make_doubt,
    rank_films,
)
from xray_core.reading.records import ChosenFilm, ListReason
from xray_core.records import Label, Outcome

NOW = datetime(2026, 3, 1, tzinfo=UTC)
POINT = OperatingPoint(0.3, 0.7, 0.95, None, None, 0, 0, None)
KEY = b"k" * 32


def film(number: int, probability: float = 0.9, **changes: object) -> ScoredFilm:
    values = {
        "is_unlike": False, "shadow": None, "label": None, "is_held_out": True, **changes,
    }  # fmt: skip
    return ScoredFilm(number, f"{number:064d}", probability, **values)  # type: ignore[arg-type]


def not_audited(count: int) -> list[int]:
    return [number for number in range(10_000) if draw_audit(KEY, f"{number:064d}") >= AUDIT_SHARE][:count]


def compose(films: list[ScoredFilm], **changes: object) -> list[ChosenFilm]:
    values = {"size": 50, "reveal_share": 0.2, "seed": 1, "now": NOW, **changes}
    own, shared = values.pop("own", []), values.pop("shared", [])
    return compose_list(films, own, shared, POINT, KEY, **values)  # type: ignore[arg-type]


def test_the_reasons_come_in_their_order_and_doubt_is_the_distance_from_a_threshold() -> None:
    numbers = not_audited(26)
    films = [
        film(numbers[0], 0.98),
        film(numbers[1], 0.72),
        film(numbers[2], 0.05, shadow=Outcome.POSITIVE),
        film(numbers[3], 0.5),
        film(numbers[4], 0.99, is_unlike=True),
        film(numbers[5], 0.97, label=Label.NORMAL),
        *(film(number, 0.95, label=Label.COVID) for number in numbers[6:16]),
        *(film(number, 0.05, label=Label.NORMAL) for number in numbers[16:]),
    ]
    ranked = rank_films(films, POINT, KEY, size=50)

    assert [(number, reason) for number, reason, _ in ranked] == [
        (numbers[4], ListReason.UNLIKE),
        (numbers[3], ListReason.REFER),
        (numbers[2], ListReason.SHADOW),
        (numbers[1], ListReason.DOUBT),
        (numbers[0], ListReason.DOUBT),
        (numbers[5], ListReason.LABEL),
    ]
    assert make_doubt(POINT)(0.7) == 0


@pytest.mark.parametrize("point", [POINT, OperatingPoint(1e-8, 1 - 1e-8, None, None, None, 0, 0, None)])
def test_a_score_as_near_as_the_last_on_a_list_is_within_reach_and_one_much_farther_is_not(
    point: OperatingPoint,
) -> None:
    random = np.random.default_rng(3)
    scores = [0.0, 1e-12, 1e-9, 1 - 1e-9, 1 - 1e-12, 1.0, *random.beta(0.1, 0.1, 20_000).tolist()]
    doubt_of = make_doubt(point)
    for score in scores:
        doubt = doubt_of(score)
        spans = find_reach(point, ListReason.SHADOW, (2, doubt))
        assert any(start <= score <= end for start, end in spans)
        nearer = find_reach(point, ListReason.SHADOW, (2, doubt * 0.99))
        assert doubt < 0.01 or not any(start <= score <= end for start, end in nearer)
    assert find_reach(point, ListReason.REFER, (2, 0.5)) == ((0.0, 1.0), (0.0, 1.0))
    assert all(start > end for start, end in find_reach(point, ListReason.DOUBT, (2, 0.5)))
    assert find_reach(point, ListReason.DOUBT, None) == ((0.0, 1.0), (0.0, 1.0))


def test_what_another_model_referred_comes_before_what_the_thresholds_of_today_doubt() -> None:
    first, second = not_audited(2)
    films = [film(first, 0.71), film(second, 0.99, said_before=Outcome.REFER)]

    ranked = rank_films(films, POINT, KEY, size=2)

    assert [(number, reason) for number, reason, _ in ranked] == [
        (second, ListReason.REFER),
        (first, ListReason.DOUBT),
    ]


def test_a_label_that_held_out_scores_contradict_is_a_candidate_and_one_that_was_trained_on_is_not() -> None:
    films = [
        *(film(number, 0.9, label=Label.COVID) for number in range(10)),
        *(film(number, 0.1, label=Label.NORMAL) for number in range(10, 20)),
        film(30, 0.97, label=Label.NORMAL),
        film(31, 0.98, label=Label.NORMAL, is_held_out=False),
        film(32, 0.02, label=Label.COVID),
    ]

    assert {found.xray_id for found in find_label_errors(films)} == {30, 32}


def test_half_of_a_list_at_most_is_audit_and_those_are_the_ones_that_chance_drew_first() -> None:
    chosen = compose([film(number, 0.5) for number in range(1000)], size=40)

    reasons = Counter(entry.reason for entry in chosen)
    drawn = sorted(range(1000), key=lambda number: draw_audit(KEY, f"{number:064d}"))
    assert reasons == {ListReason.AUDIT: 20, ListReason.REFER: 20}
    assert {entry.xray_id for entry in chosen if entry.reason is ListReason.AUDIT} == set(drawn[:20])
    assert {entry.selection_probability for entry in chosen if entry.reason is ListReason.AUDIT} == {AUDIT_SHARE}


def test_no_audit_film_is_taken_by_doubt_or_lost_to_a_label_and_none_that_stands_on_a_list_comes_again() -> None:
    sample = [number for number in range(400) if draw_audit(KEY, f"{number:064d}") < AUDIT_SHARE]
    films = [film(number, 0.5, label=Label.COVID if number % 2 else None) for number in range(400)]

    ranked = rank_films(films, POINT, KEY, size=10)
    everything = rank_films(films, POINT, KEY, size=400)

    assert not {number for number, reason, _ in ranked if reason is not ListReason.AUDIT} & set(sample)
    assert {number for number, reason, _ in everything if reason is ListReason.AUDIT} == set(sample)
    listed = [given._replace(is_listed=given.xray_id in sample) for given in films]
    assert not {number for number, *_ in rank_films(listed, POINT, KEY, size=400)} & set(sample)


def test_two_readers_get_the_same_films_each_in_an_order_of_their_own() -> None:
    films = [film(number, 0.5) for number in range(200)]
    first = compose(films, seed=1)
    second = compose(films, seed=2, shared=first)

    assert {entry.xray_id for entry in first} == {entry.xray_id for entry in second}
    assert [entry.xray_id for entry in first] != [entry.xray_id for entry in second]
    assert {entry.xray_id: entry.reason for entry in first} == {entry.xray_id: entry.reason for entry in second}


def test_repeats_are_old_and_few_and_no_other_film_comes_twice() -> None:
    films = [film(number, 0.5) for number in range(400)]
    own = [OwnReading(number, NOW - timedelta(days=400 - number)) for number in range(100)]

    chosen = compose(films, own=own)

    repeats = [entry.xray_id for entry in chosen if entry.reason is ListReason.REPEAT]
    assert len(repeats) == round(50 * 0.05)
    assert all(number < 50 for number in repeats)  # fifty films came after
    assert not {entry.xray_id for entry in chosen if entry.reason is not ListReason.REPEAT} & set(range(100))
    assert compose(films, own=[OwnReading(number, NOW) for number in range(100)], size=40)[0] is not None
    recent = compose(films, own=[OwnReading(number, NOW - timedelta(days=13)) for number in range(100)])
    assert ListReason.REPEAT not in {entry.reason for entry in recent}


def test_the_share_that_is_revealed_is_chosen_beforehand_and_by_chance() -> None:
    films = [film(number, 0.5) for number in range(3000)]

    revealed = sum(entry.reveal for seed in range(40) for entry in compose(films, seed=seed))

    assert 0.17 < revealed / (40 * 50) < 0.23
    assert not any(entry.reveal for entry in compose(films, reveal_share=0))


@pytest.mark.parametrize(
    ("runs", "rounds", "bounds"),
    [
        pytest.param(60, 4, (0.87, 1.0)),
        pytest.param(1000, 10, (0.93, 0.97), marks=[pytest.mark.slow, pytest.mark.lengthy]),
    ],
)
def test_the_audit_sample_says_the_true_error_of_the_field_within_its_interval(
    runs: int, rounds: int, bounds: tuple[float, float]
) -> None:
    """Errors are where doubt is: chance that picks among what doubt has left says too few (11.7 % of 18.5 %)."""
    random = np.random.default_rng(7)
    truth = float(_draw_errors(random, random.beta(0.8, 0.8, 1_000_000)).mean())
    covered = 0
    for run in range(runs):
        probabilities = random.beta(0.8, 0.8, 1000)
        is_wrong, key = _draw_errors(random, probabilities), run.to_bytes(32, "big")
        films = [film(number, float(probability)) for number, probability in enumerate(probabilities)]
        read: dict[int, ListReason] = {}
        for seed in range(rounds):
            own = [OwnReading(number, NOW) for number in read]
            chosen = compose_list(films, own, [], POINT, key, size=50, reveal_share=0, seed=seed, now=NOW)
            read |= {entry.xray_id: entry.reason for entry in chosen}
        audited = [number for number, reason in read.items() if reason is ListReason.AUDIT]
        low, high = _interval(int(is_wrong[audited].sum()), len(audited))
        covered += low <= truth <= high

    assert 0.1 < truth < 0.3
    assert bounds[0] <= covered / runs <= bounds[1]


def _draw_errors(random: np.random.Generator, probabilities: np.ndarray) -> np.ndarray:
    """Which films the model gets wrong: most where it is in doubt."""
    return random.random(len(probabilities)) < 0.37 * (1 - 2 * np.abs(probabilities - 0.5)) ** 0.5


def _interval(count: int, total: int) -> tuple[float, float]:
    """Jeffreys' interval of a share."""
    low = float(beta.ppf(0.025, count + 0.5, total - count + 0.5)) if count else 0.0
    high = float(beta.ppf(0.975, count + 0.5, total - count + 0.5)) if count < total else 1.0
    return low, high


def test_chance_draws_a_film_as_it_always_has_for_the_sample_of_a_home_is_never_drawn_anew() -> None:
    assert draw_audit(bytes(range(32)), f"{7:064d}") == 0.0077408769322118015
