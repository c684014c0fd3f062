"""What a card says of the labels that judged, and of films that judge apart."""

from __future__ import annotations

from dataclasses import replace

from tests.xray_core.report.test_card import EVALUATION, FULL
from xray_core.evaluation.others import OtherFigures, OtherFilms, measure_others
from xray_core.evaluation.two_thresholds import ConfusionRow
from xray_core.models.records import OperatingPoint
from xray_core.promotion.judged_on import JudgedOn
from xray_core.records import Held, Interval, Standard
from xray_core.report.card import write_card

OTHERS = OtherFigures(
    34, 30, ConfusionRow(9, 5, 20), Interval(0.588, 0.4, 0.76), Interval(0.735, 0.55, 0.87), Interval(0.147, 0.05, 0.31)
)


def test_the_card_says_on_whose_labels_it_was_judged_and_which_films_were_left_out() -> None:
    judged_on = JudgedOn({Standard.TWO_BLINDED: 61, Standard.ADJUDICATED: 15, Standard.DATASET: 8}, {Held.VISIBLE: 12})

    for card in write_card(replace(FULL, judged_on=judged_on)):
        assert (
            "84 patients: 61 by two blinded readers, 15 adjudicated, 8 dataset; 12 X-rays left out, the score was"
            in (card.replace("\\", ""))
        )


def test_specificity_among_other_abnormal_films_stands_beside_that_among_normal_ones() -> None:
    markdown, _ = write_card(replace(FULL, test=replace(EVALUATION, others=OTHERS)))

    row = "| at the lower threshold | 0.588 (0.400 to 0.760) | 0.650 (0.450 to 0.820) | share called negative |"
    assert row in markdown.replace("\\", "")
    assert "took 9 for covid" in markdown
    assert "| Specificity among them at the lower threshold | 0.59 | 0.40 to 0.76 |" in markdown
    assert "34 X-rays of 30 patients" in markdown
    assert "| other | 9 | 5 | 20 |" in markdown
    assert "nobody knows what it calls other diseases" not in markdown


def test_a_test_side_without_other_findings_is_said_to_know_nothing_of_other_diseases() -> None:
    markdown, _ = write_card(FULL)

    assert "No test X-ray is labelled other (abnormal, not covid): nobody knows what it calls other diseases." in (
        markdown.replace("\\", "")
    )


def test_films_of_one_patient_are_drawn_together_and_no_film_gives_no_figure() -> None:
    point = OperatingPoint(0.4, 0.6, 0.95, None, None, 0, 0, None)
    scores = [0.1, 0.5, 0.9, 0.1] * 10
    alone = measure_others(OtherFilms(scores, [str(n) for n in range(40)]), point, resamples=400, seed=0)
    alike = measure_others(OtherFilms(sorted(scores), [str(n // 10) for n in range(40)]), point, resamples=400, seed=0)

    assert measure_others(OtherFilms((), ()), point, resamples=400, seed=0) is None
    assert alone is not None
    assert alike is not None
    assert alone.outcomes == ConfusionRow(10, 10, 20)
    assert alone.specificity_at_lower is not None
    assert alike.specificity_at_lower is not None
    assert (alone.specificity_at_lower.value, alike.specificity_at_lower.value) == (0.5, 0.5)
    assert alike.specificity_at_lower.high > alone.specificity_at_lower.high
    assert alone.specificity_at_upper is not None
    assert alone.specificity_at_upper.value == 0.75
