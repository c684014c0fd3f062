"""Readers, lists and verdicts in a real database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from db import invariants
from db.engine import snapshot, transaction
from db.reading import lists, readers, verdicts
from db.reading.labelled import read_labelled
from db.reading.opinions import read_opinions
from db.reading.readings import read_readings
from db.registry import models
from db.scoring import xrays
from tests.db.rows import NOW, add_champion, import_labels, label_row, score_files, sha256_of
from xray_core.errors import RefusedInput
from xray_core.promotion.policy import LabelRules
from xray_core.reading.records import ChosenFilm, ListReason, ReaderVerdict
from xray_core.reading.settled import count_settlements
from xray_core.records import Held, Label, Reference, Standard


@pytest.fixture
def with_list(engine: Engine) -> Engine:
    """Reader A has a list of two films."""
    score_files(engine, add_champion(engine), {"a.png": "A", "b.png": "B"})
    with transaction(engine) as session:
        ids = xrays.read_ids(session, [sha256_of("A"), sha256_of("B")])
        chosen = [
            ChosenFilm(ids[sha256_of("B")], ListReason.AUDIT, 0.2, reveal=True),
            ChosenFilm(ids[sha256_of("A")], ListReason.REFER, 1.0, reveal=False),
        ]
        reader = readers.add_reader(session, "Reader A", now=NOW)
        lists.add_list(session, reader, chosen, seed=2**40, reveal_share=0.2, guide_sha256=None, now=NOW)
    return engine


def verdict(position: int = 1, label: Label = Label.COVID, request: str = "r1") -> ReaderVerdict:
    return ReaderVerdict(
        list_id=1,
        position=position,
        label=label,
        sure=True,
        exclude_reason=None,
        flagged_note=None,
        shown_at=NOW,
        seconds=11.5,
        score_visible=False,
        prior_used=False,
        request_id=request,
    )


def say(engine: Engine, said: ReaderVerdict) -> bool:
    with transaction(engine) as session:
        return verdicts.record_verdict(session, said, now=NOW + timedelta(minutes=1))


def test_a_reader_is_one_person_whatever_the_case_and_blanks(engine: Engine) -> None:
    with transaction(engine) as session:
        ids = {readers.add_reader(session, name, now=NOW) for name in ("Reader A", "reader a", " READER  A ")}
        assert len(ids) == 1
        assert readers.list_readers(session) == ["Reader A"]


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\x07b"])
def test_a_name_that_is_none_is_refused(engine: Engine, name: str) -> None:
    with pytest.raises(RefusedInput, match="reader: received"), transaction(engine) as session:
        readers.add_reader(session, name, now=NOW)


def test_a_list_is_open_until_its_last_film_has_a_verdict(with_list: Engine) -> None:
    with snapshot(with_list) as session:
        opened = lists.open_list(session, "reader a")
        assert opened is not None
        assert (opened.list_id, opened.reader, opened.size) == (1, "Reader A", 2)
        assert lists.open_list(session, "nobody") is None
        assert [item.path.path for item in lists.items_of(session, 1)] == ["b.png", "a.png"]

    say(with_list, verdict(1, request="r1"))
    say(with_list, verdict(2, request="r2"))

    with snapshot(with_list) as session:
        assert lists.open_list(session, "Reader A") is None


def test_a_request_that_is_repeated_writes_nothing_twice(with_list: Engine) -> None:
    assert say(with_list, verdict())
    assert not say(with_list, verdict())
    assert not say(with_list, verdict(label=Label.NORMAL))

    with snapshot(with_list) as session:
        assert session.execute(text("SELECT count(*), min(label) FROM labels")).one() == (1, "covid")


def test_a_change_of_mind_is_another_row_and_the_newest_is_trained_on(with_list: Engine) -> None:
    say(with_list, verdict(label=Label.COVID, request="r1"))
    say(with_list, verdict(label=Label.NORMAL, request="r2"))

    with snapshot(with_list) as session:
        assert session.execute(text("SELECT count(*) FROM labels")).scalar_one() == 2
        assert lists.items_of(session, 1)[0].label is Label.NORMAL
        assert [xray.label for xray in read_labelled(session, LabelRules())] == [Label.NORMAL]


def test_other_is_a_label_that_the_ledger_keeps(with_list: Engine) -> None:
    assert say(with_list, verdict(label=Label.OTHER))


def test_a_position_that_the_list_has_not_is_refused(with_list: Engine) -> None:
    with pytest.raises(RefusedInput, match="received position 9"):
        say(with_list, verdict(9))


def test_what_was_read_is_sealed(with_list: Engine) -> None:
    said = replace(verdict(), score_visible=True, flagged_note="look again")
    say(with_list, said)

    with snapshot(with_list) as session:
        assert list(invariants.find_breaches(session)) == []


@pytest.mark.parametrize("table", ["readers", "reading_lists", "reading_list_items"])
def test_lists_and_readers_cannot_be_changed(with_list: Engine, table: str) -> None:
    with pytest.raises(DBAPIError, match=r"append-only|refuses"), transaction(with_list) as session:
        session.execute(text(f"DELETE FROM {table}"))  # noqa: S608  # no input


def test_the_last_import_no_longer_hides_that_readers_contradict_each_other(with_list: Engine) -> None:
    import_labels(with_list, label_row("a.png", Label.COVID, reader="Reader A"), label_row("b.png", reader="Reader A"))
    import_labels(with_list, label_row("a.png", Label.NORMAL, reader="reader b"))

    with snapshot(with_list) as session:
        counted = count_settlements(read_opinions(session))

    assert counted == {"agreed": 0, "single": 1, "disputed": 1, "adjudicated": 0}


def read_sight(engine: Engine) -> list[bool | None]:
    with snapshot(engine) as session:
        return list(session.scalars(text("SELECT score_visible FROM labels ORDER BY id")))


def add_another_list(engine: Engine, reader: str) -> None:
    """The same two films once more, with no score revealed."""
    with transaction(engine) as session:
        ids = xrays.read_ids(session, [sha256_of("B"), sha256_of("A")])
        chosen = [ChosenFilm(ids[sha256_of(name)], ListReason.REPEAT, 1.0, reveal=False) for name in "BA"]
        reader_id = readers.add_reader(session, reader, now=NOW)
        lists.add_list(session, reader_id, chosen, seed=1, reveal_share=0, guide_sha256=None, now=NOW)


def test_a_score_once_revealed_is_remembered_on_every_later_list_of_that_reader_alone(with_list: Engine) -> None:
    say(with_list, verdict(1, request="r1"))
    say(with_list, verdict(2, request="r2"))
    add_another_list(with_list, "READER  a")
    add_another_list(with_list, "Reader B")
    for reading_list in (2, 3):
        for position in (1, 2):
            said = replace(verdict(position, request=f"r{reading_list}{position}"), list_id=reading_list)
            say(with_list, said)

    assert read_sight(with_list) == [0, 0, 1, 0, 0, 0]


def test_a_verdict_from_a_folder_reveals_nothing(with_list: Engine) -> None:
    for request in ("r1", "r2"):
        with transaction(with_list) as session:
            verdicts.record_verdict(session, verdict(request=request), now=NOW, source="csv")
    assert read_sight(with_list) == [0, 0]
    with snapshot(with_list) as session:
        assert [one.reveal for one in read_readings(session)] == [False, False]


def test_no_film_of_a_list_is_shown_before_its_last_verdict(with_list: Engine) -> None:
    for position, hidden in ((1, 2), (2, 0)):
        say(with_list, verdict(position, request=f"r{position}"))
        with snapshot(with_list) as session:
            assert len(lists.list_waiting(session)) == hidden


def test_a_film_that_a_score_chose_judges_once_no_film_that_came_before_it_is_unread(with_list: Engine) -> None:
    say(with_list, verdict(2, request="r1"))  # A, from the refer band; B, the audit film, is unread

    def judging(engine: Engine) -> dict[str, Reference]:
        with snapshot(engine) as session:
            return {xray.path.path: xray.judges_by for xray in read_labelled(session, LabelRules())}

    assert judging(with_list) == {"a.png": Reference(Label.COVID, Standard.ONE_BLINDED)}  # it came first
    with snapshot(with_list) as session:
        champion = models.champion(session)
    assert champion is not None
    score_files(with_list, champion, {"0.png": "0"})
    with transaction(with_list) as session:
        ids = xrays.read_ids(session, [sha256_of("0")])
        chosen = [ChosenFilm(ids[sha256_of("0")], ListReason.DOUBT, 1.0, reveal=False)]
        reader = readers.add_reader(session, "Reader A", now=NOW)
        lists.add_list(session, reader, chosen, seed=1, reveal_share=0.2, guide_sha256=None, now=NOW)
    say(with_list, replace(verdict(1, request="r2"), list_id=2))

    assert judging(with_list)["0.png"] == Reference(None, held=Held.CHOSEN)

    say(with_list, verdict(1, request="r3"))

    assert {reference.standard for reference in judging(with_list).values()} == {Standard.ONE_BLINDED}
