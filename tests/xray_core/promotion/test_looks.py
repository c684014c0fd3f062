"""How often one test side was asked, and what the next comparison may spend."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from xray_core.promotion.looks import Look, StoredLooks, read_looks, spend_alpha, take_look

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
PATIENTS = [f"patient {number}" for number in range(10)]
XRAYS = [f"{number:064d}" for number in range(10)]


def store(*figures: object) -> StoredLooks:
    return read_looks((n, NOW - timedelta(days=9 - n), json.dumps(each)) for n, each in enumerate(figures, start=1))


def test_what_all_looks_together_may_spend_is_alpha() -> None:
    assert spend_alpha(0.05, 1) == pytest.approx(0.0304, abs=1e-4)
    assert spend_alpha(0.05, 5) == pytest.approx(0.0304 / 25, abs=1e-5)
    assert 0.0499 < sum(spend_alpha(0.05, look) for look in range(1, 1001)) < 0.05


def test_the_first_comparison_at_a_side_is_look_one() -> None:
    look = take_look(StoredLooks(), PATIENTS, XRAYS, now=NOW)

    assert (look.number, look.renewed_at, look.follows) == (1, NOW, None)
    assert str(look) == "look 1 at this side (renewed 2026-11-02)"


def test_a_look_that_was_kept_is_followed_by_the_next_one() -> None:
    first = take_look(StoredLooks(), PATIENTS, XRAYS, now=NOW)

    second = take_look(store({"look": first.to_dict()}), PATIENTS, XRAYS, now=NOW + timedelta(days=30))

    assert (second.number, second.renewed_at, second.follows) == (2, NOW, 1)


@pytest.mark.parametrize(("new", "number"), [(9, 2), (10, 1)])
def test_it_starts_anew_when_half_of_the_patients_are_new(new: int, number: int) -> None:
    first = take_look(StoredLooks(), PATIENTS, XRAYS, now=NOW)
    patients = [*PATIENTS, *(f"new {n}" for n in range(new))]
    xrays = [*XRAYS, *(f"f{n:063d}" for n in range(new))]

    look = take_look(store({"look": first.to_dict()}), patients, xrays, now=NOW + timedelta(days=30))

    assert look.number == number
    assert look.renewed_at == (NOW if number == 2 else NOW + timedelta(days=30))


def test_more_films_of_the_same_patients_renew_nothing_and_neither_does_a_new_name() -> None:
    first = take_look(StoredLooks(), PATIENTS, XRAYS, now=NOW)
    renamed = [f"of {patient}" for patient in PATIENTS] * 3
    more = [*XRAYS, *(f"e{n:063d}" for n in range(20))]

    assert take_look(store({"look": first.to_dict()}), renamed, more, now=NOW).number == 2


def test_the_side_at_its_renewal_counts_and_not_that_of_the_last_look() -> None:
    looks: list[dict[str, object]] = []
    numbers = []
    for step in range(3):  # four new patients each time: 4 of 14, then 8 of 18, then 12 of 22
        patients = [*PATIENTS, *(f"new {n}" for n in range(4 * (step + 1)))]
        xrays = [*XRAYS, *(f"d{n:063d}" for n in range(4 * (step + 1)))]
        start = [{"look": take_look(StoredLooks(), PATIENTS, XRAYS, now=NOW).to_dict()}]
        look = take_look(store(*start, *looks), patients, xrays, now=NOW)
        looks.append({"look": look.to_dict()})
        numbers.append(look.number)

    assert numbers == [2, 3, 1]


def test_evaluations_without_a_comparison_are_no_looks_and_those_of_before_are_one_each() -> None:
    assert take_look(store({"look": None}, {"look": None}), PATIENTS, XRAYS, now=NOW).number == 1

    look = take_look(store({"figures": 1}, {"figures": 2}, {"look": None}), PATIENTS, XRAYS, now=NOW)

    assert (look.number, look.renewed_at) == (3, NOW - timedelta(days=8))


def test_what_is_stored_is_read_again() -> None:
    look = Look(7, NOW, (("a" * 16,), ("b" * 16, "c" * 16)), follows=12)

    stored = store({"look": look.to_dict()})

    assert (stored.at_sides, stored.newest_id) == ((look,), 1)


def test_a_look_at_a_small_part_of_other_patients_does_not_renew_the_whole_side() -> None:
    """Eight looks at 80, then one at 60 others, then all 140: 80 of them have stood on a side before."""
    everyone = [f"patient {n}" for n in range(140)]
    films = [f"{n:016d}{0:048d}" for n in range(140)]
    stored: list[dict[str, object]] = []
    numbers = []
    for part in [slice(80)] * 8 + [slice(80, 140)]:
        look = take_look(store(*stored), everyone[part], films[part], now=NOW)
        stored.append({"look": look.to_dict()})
        numbers.append(look.number)
    assert numbers == [*range(1, 9), 1]

    whole = take_look(store(*stored), everyone, films, now=NOW)

    assert whole.number == 9
    assert take_look(store(*stored, {"look": whole.to_dict()}), everyone, films, now=NOW).number == 10


def test_going_back_to_a_side_that_was_left_goes_on_with_its_count() -> None:
    stored: list[dict[str, object]] = []
    others, films = [f"other {n}" for n in range(10)], [f"c{n:063d}" for n in range(10)]
    for patients, xrays in [(PATIENTS, XRAYS)] * 3 + [(others, films)]:
        stored.append({"look": take_look(store(*stored), patients, xrays, now=NOW).to_dict()})

    assert take_look(store(*stored), PATIENTS, XRAYS, now=NOW).number == 4
