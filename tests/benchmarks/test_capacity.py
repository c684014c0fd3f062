"""The arithmetic of the capacity benchmark: parts from two scans, predictions from parts."""

from __future__ import annotations

import pytest

from tests.benchmarks.capacity import find_parts, predict_processor, predict_wall
from tests.benchmarks.stand import Cost


def cost(films: int, *, start: float = 1.0, film: float = 0.01, database: float = 0.001) -> Cost:
    return Cost(films, 2.0 + films * film / 2, start + films * film, films * database, 0.0, films * 900)


def test_a_start_and_a_film_are_told_apart_by_two_scans_that_differ_in_their_films() -> None:
    parts = find_parts(cost(100), cost(400), ledger_in_scanner=0.0005)

    assert parts.start == pytest.approx(1.0)
    assert parts.film == pytest.approx(0.011)
    assert parts.film_in_ledger == pytest.approx(0.0015)
    assert parts.start_wall == pytest.approx(2.0)
    assert parts.bytes_a_film == pytest.approx(900)


def test_every_process_starts_and_every_film_is_done_once() -> None:
    parts = find_parts(cost(100), cost(400), ledger_in_scanner=0.0005)

    assert predict_processor(parts, 1000, 1) == pytest.approx(12)
    assert predict_processor(parts, 1000, 4) == pytest.approx(15)


def test_on_few_cores_more_processes_are_no_faster_and_on_many_the_one_writer_is_the_limit() -> None:
    parts = find_parts(cost(100), cost(400), ledger_in_scanner=0.0005)

    on_two = [predict_wall(parts, 100_000, processes, 2) for processes in (1, 4)]
    on_many = predict_wall(parts, 100_000, 64, 1000)

    assert on_two[1] >= on_two[0]
    assert on_many == pytest.approx(2.0 + 100_000 * 0.0015)
