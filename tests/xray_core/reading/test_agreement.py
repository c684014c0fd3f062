"""Agreement of readers, beside scikit-learn and the published worked example of Gwet."""

from __future__ import annotations

import random

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from xray_core.reading.agreement import (
    FEWEST_FILMS,
    FEWEST_PATIENTS,
    chance_of_ac1,
    chance_of_kappa,
    correct_for_chance,
    measure_agreement,
    raw_agreement,
)

WORDS = ("covid", "normal", "other", "unsure", "exclude")


def spread(table: list[list[int]], words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Two readings that give this table."""
    pairs = [
        (a, b) for a, row in zip(words, table, strict=True) for b, n in zip(words, row, strict=True) for _ in range(n)
    ]
    return [a for a, _ in pairs], [b for _, b in pairs]


@pytest.mark.parametrize(
    ("table", "raw", "kappa", "ac1"),
    [
        # Gwet, Handbook of Inter-Rater Reliability, 2014: two abstractors classify 100 pregnancies; his own program's
        # figures (R package irrCAC, data set cont3x3abstractors).
        ([[13, 0, 0], [0, 20, 7], [0, 4, 56]], 0.89, 0.7964094, 0.8493305),
        # Gwet 2002: kappa says that two who agree on 118 of 125 agree worse than by chance.
        ([[118, 5], [2, 0]], 0.944, -0.02339, 0.94078),
    ],
)
def test_published_examples_come_out(table: list[list[int]], raw: float, kappa: float, ac1: float) -> None:
    words = WORDS[: len(table)]
    first, second = spread(table, words)
    found = measure_agreement(first, second, [str(n) for n in range(len(first))], words)
    assert found.table == tuple(map(tuple, table))
    for figure, value in ((found.raw, raw), (found.kappa, kappa), (found.ac1, ac1)):
        assert figure is not None
        assert figure.value == pytest.approx(value, abs=1e-5)
        assert figure.low <= figure.value <= figure.high


def test_kappa_is_that_of_scikit_learn_whatever_was_said() -> None:
    chance = random.Random(3)
    for _ in range(50):
        first = chance.choices(WORDS, weights=(4, 5, 2, 1, 1), k=60)
        second = [word if chance.random() < 0.7 else chance.choice(WORDS) for word in first]
        found = measure_agreement(first, second, [str(n // 2) for n in range(60)], WORDS)
        assert found.kappa is not None
        assert found.kappa.value == pytest.approx(cohen_kappa_score(first, second, labels=list(WORDS)))


@pytest.mark.parametrize(("films", "patients"), [(FEWEST_FILMS - 1, 19), (40, FEWEST_PATIENTS - 1)])
def test_small_numbers_have_a_table_and_no_figure(films: int, patients: int) -> None:
    words = ["covid"] * films
    found = measure_agreement(words, words, [str(n % patients) for n in range(films)], WORDS)
    assert found.table[0][0] == films
    assert (found.raw, found.kappa, found.ac1) == (None, None, None)


def test_who_agree_on_all_films_are_not_certain_to_agree_on_the_next() -> None:
    first = ["covid", "normal"] * 20
    found = measure_agreement(first, first, [str(n) for n in range(40)], WORDS)
    for figure in (found.raw, found.kappa, found.ac1):
        assert figure is not None
        assert (figure.value, figure.high) == (1, 1)
        assert figure.low < 0.95


def test_where_both_use_one_word_alone_chance_explains_all_of_it() -> None:
    found = measure_agreement(["normal"] * 40, ["normal"] * 40, [str(n) for n in range(40)], WORDS)
    assert found.kappa is None
    assert found.raw is not None
    assert found.ac1 is not None
    assert found.ac1.value == 1


def test_films_of_one_patient_widen_the_interval() -> None:
    first = ["covid", "normal"] * 60
    second = [
        "covid" if n // 6 % 4 == 0 else word for n, word in enumerate(first)
    ]  # what goes wrong goes so by patient
    alone = measure_agreement(first, second, [str(n) for n in range(120)], WORDS)
    together = measure_agreement(first, second, [str(n // 6) for n in range(120)], WORDS)
    assert alone.ac1 is not None
    assert together.ac1 is not None
    assert alone.ac1.value == together.ac1.value
    assert together.ac1.high - together.ac1.low > 1.2 * (alone.ac1.high - alone.ac1.low)


@pytest.mark.lengthy
def test_intervals_hold_the_true_agreement_in_about_95_of_100_groups() -> None:
    """True values from a million films; groups of 80 patients with one to three films each."""
    table = np.array([[0.16, 0.03, 0.01], [0.02, 0.60, 0.04], [0.01, 0.03, 0.10]])
    truth = {
        "raw": float(raw_agreement(table)),
        "kappa": float(correct_for_chance(raw_agreement(table), chance_of_kappa(table))),
        "ac1": float(correct_for_chance(raw_agreement(table), chance_of_ac1(table))),
    }
    chance, held, groups = np.random.default_rng(5), dict.fromkeys(truth, 0), 300
    for _ in range(groups):
        patients = [str(patient) for patient in range(80) for _ in range(chance.integers(1, 4))]
        cells = chance.choice(9, size=len(patients), p=table.ravel() / table.sum())
        first, second = ([WORDS[cell] for cell in part] for part in (cells // 3, cells % 3))
        found = measure_agreement(first, second, patients, WORDS[:3])
        for name, value in truth.items():
            figure = getattr(found, name)
            held[name] += figure.low <= value <= figure.high
    assert all(0.92 * groups <= number <= 0.985 * groups for number in held.values()), held
