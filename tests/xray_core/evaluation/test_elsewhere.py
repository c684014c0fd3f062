"""What figures of another place come to, in one sentence."""

from __future__ import annotations

import pytest

from xray_core.evaluation.elsewhere import judge_elsewhere


def evaluation(auroc: dict[str, float] | None, unknown: int = 0) -> dict[str, object]:
    return {
        "figures": {"auroc": auroc},
        "covid": {"xrays": 30, "patients": 26, "unknown": unknown},
        "normal": {"xrays": 20, "patients": 18},
    }


@pytest.mark.parametrize(
    ("low", "value", "high", "words", "is_wanting"),
    [
        (
            0.08,
            0.18,
            0.36,
            "On siteB it ranks films backwards: AUROC 0.18 (0.08-0.36) on 26 covid patients and 18",
            True,
        ),
        (0.41, 0.58, 0.73, "On siteB it ranks films no better than chance, as far as can be told", True),
        (0.71, 0.83, 0.91, "On siteB it ranks films better than chance: AUROC 0.83 (0.71-0.91)", False),
    ],
)
def test_the_interval_says_whether_a_model_may_be_used_at_a_place(
    low: float, value: float, high: float, words: str, *, is_wanting: bool
) -> None:
    judged = judge_elsewhere("siteB", evaluation({"value": value, "low": low, "high": high}))

    assert words in judged.sentence
    assert judged.is_wanting is is_wanting
    assert ("Do not use it there." in judged.sentence) is is_wanting


def test_x_rays_of_unknown_patients_are_named_apart() -> None:
    judged = judge_elsewhere("siteB", evaluation({"value": 0.2, "low": 0.1, "high": 0.3}, unknown=4))

    assert "on 26 covid patients (and 4 X-rays of unknown ones) and 18 normal patients" in judged.sentence


def test_what_cannot_be_told_condemns_nobody() -> None:
    assert not judge_elsewhere("siteB", evaluation(None)).is_wanting


def test_where_the_view_tells_the_class_pairs_of_one_view_judge() -> None:
    good = {"value": 0.85, "low": 0.75, "high": 0.92}
    within = {"value": 0.52, "low": 0.35, "high": 0.69}

    judged = judge_elsewhere("siteB", evaluation(good) | {"within_view": view(within)})

    assert judged.is_wanting
    assert "over all pairs AUROC is 0.85 (0.75-0.92), over those of one view 0.52 (0.35-0.69)" in judged.sentence
    assert "tells the class by itself (AUROC 0.79)" in judged.sentence


def test_where_no_view_is_shared_a_good_figure_says_nothing() -> None:
    good = {"value": 0.85, "low": 0.75, "high": 0.92}

    judged = judge_elsewhere("siteB", evaluation(good) | {"within_view": view(None)})

    assert judged.sentence.startswith("On siteB it cannot be told how it ranks films: AUROC 0.85")
    assert "disease and view cannot be told apart" in judged.sentence
    assert not judged.is_wanting


def test_a_model_that_is_bad_over_all_pairs_is_not_saved_by_pairs_of_one_view() -> None:
    bad, good = {"value": 0.18, "low": 0.14, "high": 0.22}, {"value": 0.86, "low": 0.62, "high": 0.96}

    for known in (26, 50):
        judged = judge_elsewhere("siteB", evaluation(bad) | {"within_view": view(good) | {"known": known}})

        assert judged.is_wanting
        assert judged.sentence.startswith("On siteB it ranks films backwards: ")
        assert "0.18 (0.14-0.22)" in judged.sentence


@pytest.mark.parametrize("within", [None, {"value": 0.3, "low": 0.1, "high": 0.6}])
def test_a_few_films_of_known_view_judge_nobody_and_it_is_said_that_they_are_few(within: dict[str, float]) -> None:
    good = {"value": 0.92, "low": 0.90, "high": 0.94}

    judged = judge_elsewhere("siteB", evaluation(good) | {"within_view": view(within) | {"known": 44}})

    assert not judged.is_wanting
    assert judged.sentence.startswith("On siteB it ranks films better than chance: AUROC 0.92 (0.90-0.94)")
    assert "The view, known of 44 of 50 X-rays, tells the class by itself (AUROC 0.79)" in judged.sentence
    assert "(AUROC 0.79): too few to judge by." in judged.sentence


def test_where_views_are_not_known_it_is_said() -> None:
    unknown = {"xrays": 50, "known": 0, "view_alone": None, "auroc": None}
    some = evaluation({"value": 0.85, "low": 0.75, "high": 0.92})

    assert "The view is known of 0 of 50 X-rays" in judge_elsewhere("siteB", some | {"within_view": unknown}).sentence
    assert "Whether the view of a film tells its class there is not known." in judge_elsewhere("siteB", some).sentence


def test_films_that_count_as_patients_are_said_to_be_films() -> None:
    found = evaluation({"value": 0.85, "low": 0.75, "high": 0.92}, unknown=30)
    found["covid"] = {"xrays": 30, "patients": 0, "unknown": 30}

    sentence = judge_elsewhere("siteB", found).sentence

    assert "on 30 covid X-rays of unknown patients and 18 normal patients" in sentence
    assert (
        "30 of 50 X-rays are of unknown patients and count as one each, so the interval may be too narrow" in sentence
    )


def view(auroc: dict[str, float] | None) -> dict[str, object]:
    return {"xrays": 50, "known": 50, "view_alone": 0.79, "auroc": auroc}
