"""Rows of grey levels: chosen as an array's are, and read only then."""

from __future__ import annotations

import numpy as np
import pytest

from xray_core.processes.grey_rows import GreyRows, choose_some, join_rows

FILMS = np.random.default_rng(0).integers(0, 256, (7, 4, 5)).astype(np.uint8)
ROWS = GreyRows(tuple(FILMS), (4, 5))


@pytest.mark.parametrize(
    "chosen",
    [slice(None), slice(2, 5), slice(9, 12), [3, 1, 1], np.array([6, 0]), FILMS[:, 0, 0] > 99, np.zeros(7, dtype=bool)],
    ids=["all", "some", "none", "list", "places", "mask", "empty mask"],
)
def test_a_choice_of_rows_is_that_of_the_array(chosen: slice) -> None:
    assert np.array_equal(ROWS[chosen], FILMS[chosen])
    assert ROWS[chosen].shape == FILMS[chosen].shape
    assert len(ROWS) == len(FILMS)


def test_parts_are_joined_one_after_the_other() -> None:
    joined = join_rows([ROWS, GreyRows((), (4, 5)), ROWS])

    assert np.array_equal(joined[:], np.concatenate([FILMS, FILMS]))


def test_of_few_films_all_are_chosen_and_of_many_always_the_same_ones() -> None:
    assert choose_some(5, 5).tolist() == [0, 1, 2, 3, 4]
    assert choose_some(5, 0).tolist() == []
    chosen = choose_some(1000, 100)
    assert len(set(chosen.tolist())) == 100
    assert chosen.tolist() == sorted(chosen.tolist()) == choose_some(1000, 100).tolist()
    assert 300 < chosen.mean() < 700
