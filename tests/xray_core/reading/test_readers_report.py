"""What is reported of readers, from readings whose figures are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import pytest

from xray_core.reading.most_read import MostRead, find_shared, measure_most_read
from xray_core.reading.readers_report import ReadersReport, find_blind, make_readers_report
from xray_core.reading.readers_words import answer_questions, say_agreement, say_model_beside, tell_readers
from xray_core.reading.records import ListPurpose, ListReason, Opinion, ReaderRole, Reading
from xray_core.reading.reveal_effect import measure_reveal_effect
from xray_core.records import Label, Outcome

COVID, NORMAL, OTHER, UNSURE = Label.COVID, Label.NORMAL, Label.OTHER, Label.UNSURE
_SETTLED = {"agreed": 30, "single": 4, "disputed": 2, "adjudicated": 1}


def read(xray_id: int, reader: str = "anna", label: Label = COVID, **changes: object) -> Reading:
    """A blind reading of a film on a list of fifty, where the film's number is its place."""
    blank = Reading(
        xray_id=xray_id,
        group=f"patient {xray_id}",
        reader=reader,
        role=ReaderRole.READER,
        label=label,
        score_visible=False,
        seconds=10.0,
        item_id=1000 * len(reader) + xray_id,
        purpose=ListPurpose.READING,
        reason=ListReason.DOUBT,
        reveal=False,
        position=xray_id,
        list_size=50,
        shown=Outcome.POSITIVE,
    )
    return replace(blank, **changes)  # type: ignore[arg-type]


def report(readings: Sequence[Reading], model: dict[int, Outcome] | None = None) -> ReadersReport:
    return make_readers_report(readings, {"anna": "Anna", "ben": "Ben"}, _SETTLED, model or {})


def test_a_blind_verdict_is_the_last_before_the_score_in_the_first_reading() -> None:
    kept = read(1, label=NORMAL)
    readings = [
        read(1, label=COVID),
        kept,
        read(1, label=OTHER, score_visible=True),
        read(1, label=COVID, reason=ListReason.REPEAT),
        read(1, label=UNSURE, purpose=ListPurpose.AGAIN),
        read(2, role=ReaderRole.ADJUDICATOR, purpose=ListPurpose.ADJUDICATION),
    ]
    assert find_blind(readings) == {"anna": {1: kept}}


def test_two_readers_agree_as_scripted() -> None:
    """On 40 films Ben differs on four: two covid for normal, one other for normal, one unsure."""
    differs = {3: COVID, 7: COVID, 11: OTHER, 15: UNSURE}
    anna = [read(film, label=COVID if film % 2 == 0 else NORMAL) for film in range(1, 41)]
    ben = [replace(one, reader="ben", item_id=one.xray_id, label=differs.get(one.xray_id, one.label)) for one in anna]
    (pair,) = report([*anna, *ben]).pairs
    assert (pair.first, pair.second) == ("Anna", "Ben")
    assert pair.words.raw is not None
    assert pair.words.raw.value == pytest.approx(36 / 40)
    assert pair.words.table[1] == (2, 16, 1, 1, 0)  # Anna's normal films, by Ben's words
    assert pair.covid.raw is not None
    assert pair.covid.films == 39  # the unsure one says neither
    assert pair.covid.raw.value == pytest.approx(37 / 39)


def test_the_model_stands_beside_the_readers_on_the_same_films() -> None:
    """40 films: the readers agree on 36; of the other four an adjudicator settled two; the model is wrong on six."""
    anna = [read(film, label=COVID) for film in range(1, 41)]
    ben = [read(film, "ben", NORMAL if film <= 4 else COVID) for film in range(1, 41)]
    settled = [read(film, "cleo", COVID, role=ReaderRole.ADJUDICATOR) for film in (1, 2)]
    wrong = dict.fromkeys(range(10, 16), Outcome.NEGATIVE)
    model = dict.fromkeys(range(1, 41), Outcome.POSITIVE) | wrong | {40: Outcome.REFER}
    (pair,) = report([*anna, *ben, *settled], model).pairs
    beside = pair.model
    assert (beside.films, beside.settled, beside.referred) == (39, 37, 1)
    assert beside.model is not None
    assert beside.readers is not None
    assert beside.difference is not None
    assert beside.model.value == pytest.approx(31 / 37)
    assert beside.readers.value == pytest.approx(35 / 39)
    assert beside.difference.value == pytest.approx(31 / 37 - 35 / 39)
    assert beside.difference.low < beside.difference.value < beside.difference.high
    assert "as readers agree" in say_model_beside(pair)


def test_a_reader_who_reads_films_again_is_measured_against_the_first_time() -> None:
    first = [read(film, label=COVID if film % 2 else NORMAL) for film in range(1, 25)]
    again = [replace(one, item_id=5000 + one.xray_id, reason=ListReason.REPEAT) for one in first]
    again[0] = replace(again[0], label=NORMAL)
    (anna,) = report([*first, *again]).readers
    assert anna.repeats.raw is not None
    assert anna.repeats.raw.value == pytest.approx(23 / 24)


def test_pace_is_the_time_to_the_first_verdict_and_thirds_are_of_the_list() -> None:
    films = range(1, 76)  # the last third is called covid less often
    first = [
        read(film, label=COVID if film % 2 and film <= 50 else NORMAL, seconds=float(film), position=film, list_size=75)
        for film in films
    ]
    changed = [replace(one, seconds=300.0) for one in first[:10]]
    (anna,) = report([*first, *changed]).readers
    assert anna.seconds == (19.5, 38.0, 56.5)
    assert [(third.films, third.covid) for third in anna.thirds] == [(25, 13), (25, 12), (25, 0)]
    assert any("tiredness" in line for line in tell_readers(report(first)))


def test_the_reveal_is_told_as_it_went() -> None:
    """Of 60 revealed films five changed, four of them towards the model: three of those wrongly."""
    shown = dict.fromkeys(range(1, 61), Outcome.POSITIVE) | {5: Outcome.NEGATIVE}
    before = [read(film, label=NORMAL, reveal=True, shown=shown[film]) for film in range(1, 61)]
    after = [replace(before[film - 1], label=COVID, score_visible=True) for film in (1, 2, 3, 4, 5)]
    ben = [read(film, "ben", NORMAL, item_id=film) for film in (1, 2, 3)] + [read(4, "ben", COVID, item_id=4)]
    readings = [*before, *after, *ben]
    effect = measure_reveal_effect(readings, find_blind(readings), {})
    assert effect.sentence == "of 60 revealed, 5 changed, 4 towards the model: 3 wrongly, 1 rightly"
    unread = [*before, *after]
    assert measure_reveal_effect(unread, find_blind(unread), {1: NORMAL}).sentence == (
        "of 60 revealed, 5 changed, 4 towards the model: 1 wrongly, 3 nobody else has read"
    )


def most_read(readings: list[Reading], names: dict[str, str]) -> MostRead | None:
    """What a status makes of what was said of each film."""
    opinions, films = [], dict[int, tuple[int, ...]]()
    for one in readings:
        said = Opinion(one.reader, one.role, one.label, score_visible=one.score_visible, chosen_for=one.reason)
        films[one.xray_id] = (*films.get(one.xray_id, ()), len(opinions))
        opinions.append(replace(said, again=one.purpose is ListPurpose.AGAIN))
    shared = find_shared(opinions, films)
    return measure_most_read(shared, {one.xray_id: one.group for one in readings}, names) if shared else None


def test_small_numbers_say_so_and_nothing_says_what_to_do() -> None:
    assert "`xray review --reader NAME`" in say_agreement(most_read([], {}))
    readings = [read(1), read(1, "ben")]
    few = report(readings)
    assert "too few: below 20 films of 10 patients" in say_agreement(most_read(readings, {}))
    assert few.pairs[0].words.table[0][0] == 1
    assert "no score was revealed yet" in "\n".join(tell_readers(few))


def test_a_status_tells_of_the_two_readers_with_most_films_in_common_what_the_report_does() -> None:
    names = {"anna": "Anna", "ben": "Ben"}
    readings = [read(number, reader) for reader in ("anna", "ben", "cleo") for number in range(30 - len(reader))]
    readings += [read(1, "ben", NORMAL, score_visible=True), read(2, "ben", NORMAL, reason=ListReason.REPEAT)]
    readings += [read(3, "ben", NORMAL, role=ReaderRole.ADJUDICATOR), read(4, purpose=ListPurpose.AGAIN, label=NORMAL)]
    readings += [read(5, "ben", NORMAL)]  # a change of mind

    found = most_read(readings, names)

    assert found is not None
    assert (found.first, found.second, found.pairs) == ("Anna", "Ben", 3)
    assert found.words == report(readings).pairs[0].words


def test_the_questions_of_a_card_are_answered_without_a_name() -> None:
    numbers = count()
    readings = [
        read(film, reader, label=COVID if film % 2 else NORMAL, item_id=next(numbers))
        for reader in ("anna", "ben")
        for film in range(1, 31)
    ]
    seen = [replace(readings[0], score_visible=True), replace(readings[1], xray_id=99, score_visible=None)]
    answers = answer_questions(report([*readings, *seen]))
    assert set(answers) == {"reference_standard", "blinding", "agreement"}
    assert "30 agreed, 4 single, 2 disputed, 1 adjudicated" in answers["reference_standard"]
    assert "60 verdicts of 2 readers" in answers["blinding"]
    assert "1 with a score in view; of 1 nobody wrote it down" in answers["blinding"]
    assert "readers 1 and 2: 30 films of 30 patients, raw 1.00" in answers["agreement"]
    assert not any(name in text for text in answers.values() for name in ("Anna", "anna", "Ben"))
    assert answer_questions(make_readers_report([], {}, dict.fromkeys(_SETTLED, 0), {})) == {}
