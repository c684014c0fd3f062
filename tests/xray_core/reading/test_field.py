"""What an audit sample says of all films that come in."""

from __future__ import annotations

import numpy as np
import pytest

from xray_core.models.records import OperatingPoint
from xray_core.reading.field import FEWEST_OF_A_CLASS, FIELD_FIGURES, SampledFilm, measure_field
from xray_core.reading.reading_list import AUDIT_SHARE, draw_audit

POINT = OperatingPoint(0.3, 0.6, None, None, None, 0, 0, None)


def test_a_film_stands_for_as_many_as_chance_left_out() -> None:
    """Two strata: of one every film is taken, of the other every fifth; unweighted the sensitivity would be 2/3."""
    taken = [SampledFilm(0.9, True, f"a{n}", 1.0) for n in range(20)]
    fifth = [SampledFilm(0.1, True, f"b{n}", 0.2) for n in range(10)]
    normal = [SampledFilm(0.1, False, f"c{n}", 0.2) for n in range(10)]
    found = measure_field([*taken, *fifth, *normal], POINT)
    figure = found.figures["sensitivity_at_upper"]
    assert figure is not None
    assert figure.value == pytest.approx(20 / (20 + 5 * 10))
    assert found.figures["specificity_at_lower"] is not None
    assert (found.films, found.patients, found.covid_patients, found.other_patients) == (40, 40, 30, 10)


def test_each_threshold_counts_every_film() -> None:
    films = [
        SampledFilm(probability, is_covid, f"{is_covid}{n}", 0.2)
        for is_covid in (True, False)
        for n, probability in enumerate([0.1, 0.4, 0.7, 0.9] * 5)
    ]
    values = {name: figure.value for name, figure in measure_field(films, POINT).figures.items() if figure}
    assert values == pytest.approx(dict(zip(FIELD_FIGURES, (0.75, 0.25, 0.5, 0.5), strict=True)))


def test_a_film_that_is_referred_for_what_it_is_counts_as_referred_whatever_its_score() -> None:
    films = [
        SampledFilm(0.1 if is_covid else 0.9, is_covid, f"{is_covid}{n}", 0.2, is_odd=n < 10)
        for is_covid in (True, False)
        for n in range(20)
    ]
    values = {name: figure.value for name, figure in measure_field(films, POINT).figures.items() if figure}
    assert values == pytest.approx(dict(zip(FIELD_FIGURES, (0.5, 0.0, 0.0, 0.5), strict=True)))


def test_few_patients_of_a_class_have_no_figure() -> None:
    films = [SampledFilm(0.9, True, str(n % (FEWEST_OF_A_CLASS - 1)), 0.2) for n in range(40)]
    found = measure_field(films, POINT)
    assert set(found.figures.values()) == {None}


@pytest.mark.lengthy
def test_the_true_error_of_the_field_lies_within_the_interval() -> None:
    """1,000 films of patients with one to three; a model wrong on 18.5 % of covid; whom chance takes a key decides."""
    chance, held, runs = np.random.default_rng(1), 0, 300
    for run in range(runs):
        films: list[SampledFilm] = []
        while len(films) < 1000:
            patient, is_covid = f"{run} {len(films)}", bool(chance.random() < 0.5)
            easy = chance.beta(8.15, 1.85)  # the films of a patient are alike; the mean of easy is 0.815
            for _ in range(chance.integers(1, 4)):
                is_right = bool(chance.random() < easy)
                films.append(SampledFilm(0.9 if is_right is is_covid else 0.1, is_covid, patient, AUDIT_SHARE))
        key = f"key {run}".encode()
        sample = [film for n, film in enumerate(films) if draw_audit(key, str(n)) < AUDIT_SHARE]
        figure = measure_field(sample, POINT).figures["sensitivity_at_upper"]
        assert figure is not None
        held += figure.low <= 0.815 <= figure.high
    print(held / runs)
    assert 0.93 * runs <= held <= 0.985 * runs
