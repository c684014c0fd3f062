"""How many labelled films of one's own make the source tell the class no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.xray_core.training.test_split import make_xray
from xray_core.promotion.release import count_own_labels, say_release
from xray_core.records import Label, LabelledXray


@pytest.mark.parametrize(
    ("sources", "wanted"),
    [
        ([(100, 0), (0, 100)], 484),
        ([(20, 0), (0, 20)], 98),
        ([(100, 0), (0, 100), (300, 300)], 0),
        ([(50, 50)], 0),
        ([], 0),
        ([(10, 0)], 0),
    ],
)
def test_the_number_grows_with_the_films_whose_class_is_their_source(
    sources: list[tuple[int, int]], wanted: int
) -> None:
    assert count_own_labels(sources) == wanted


def test_with_so_many_the_source_alone_ranks_below_the_line_and_with_one_pair_less_it_does_not() -> None:
    sources = [(130, 0), (0, 70), (10, 5)]
    wanted = count_own_labels(sources)
    for films, is_below in ((wanted, True), (wanted - 2, False)):
        all_sources = [*sources, (films // 2, films // 2)]
        truth = np.concatenate([[1] * covid + [0] * normal for covid, normal in all_sources])
        share = np.concatenate([[covid / (covid + normal)] * (covid + normal) for covid, normal in all_sources])
        assert (roc_auc_score(truth, share) < 0.75) == is_below


def test_it_is_said_in_two_digits_with_the_way_there() -> None:
    covid = [replace(make_xray(n), label=Label.COVID, source="A") for n in range(100)]
    normal = [replace(make_xray(n), label=Label.NORMAL, source="B") for n in range(100, 200)]

    assert say_release([*covid, *normal]).startswith("about 480 more labelled films of your own, of both classes")
    assert say_release(covid[:0]).startswith("more labelled films of your own")


def test_films_labelled_other_are_no_covid_of_their_source() -> None:
    covid = [replace(make_xray(n), label=Label.COVID, source="A") for n in range(100)]
    other = [replace(make_xray(n), label=Label.OTHER, source="B") for n in range(100, 200)]

    assert say_release([*covid, *other]).startswith("about 480 more labelled films")


def make_films(*counts: tuple[str | None, int, int]) -> list[LabelledXray]:
    """So many covid and normal films of each source."""
    sources = [
        (source, label)
        for source, covid, normal in counts
        for label, number in ((Label.COVID, covid), (Label.NORMAL, normal))
        for _ in range(number)
    ]
    return [replace(make_xray(n), label=label, source=source) for n, (source, label) in enumerate(sources)]


def test_sources_of_one_class_are_named_where_what_is_left_holds_both() -> None:
    films = make_films(("a b", 10, 0), ("c", 0, 10), (None, 5, 5))

    assert "`xray train --exclude-source 'a b' --exclude-source c`" in say_release(films)


def test_a_source_can_be_left_out_later_where_nothing_would_be_left_now_and_never_where_none_is_known() -> None:
    later = "once other films hold both classes, one without a source: `xray train --exclude-source SOURCE`"

    assert later in say_release(make_films(("a", 10, 0), ("c", 0, 10)))
    assert later in say_release(make_films(("a", 10, 2), ("c", 1, 10)))
    assert "--exclude-source" not in say_release(make_films((None, 10, 10)))


def test_a_model_of_own_labels_is_not_told_to_become_one() -> None:
    films = make_films((None, 10, 10))

    assert "make a model of them alone: `xray train --own-labels" in say_release(films)
    assert say_release(films, own_labels=True) == (
        "more labelled films of your own, of both classes, may release it; or a remedy: "
        "`xray models audit --remedies DATASET` tries each"
    )
