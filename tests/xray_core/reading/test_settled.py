from __future__ import annotations

import pytest

from xray_core.reading.records import ReaderRole
from xray_core.reading.settled import Settlement, count_settlements, settle
from xray_core.records import Label

READER, ADJUDICATOR = ReaderRole.READER, ReaderRole.ADJUDICATOR
A_COVID, B_COVID = ("Reader A", READER, Label.COVID), ("B", READER, Label.COVID)
B_NORMAL = ("B", READER, Label.NORMAL)


@pytest.mark.parametrize(
    ("opinions", "settlement"),
    [
        ([A_COVID], Settlement.SINGLE),
        ([A_COVID, ("reader  a", READER, Label.NORMAL)], Settlement.SINGLE),
        ([A_COVID, B_COVID], Settlement.AGREED),
        ([A_COVID, B_NORMAL], Settlement.DISPUTED),
        ([A_COVID, B_NORMAL, B_COVID], Settlement.AGREED),
        ([A_COVID, ("B", READER, Label.UNSURE)], Settlement.DISPUTED),
        ([(None, READER, Label.COVID), (None, READER, Label.NORMAL)], Settlement.SINGLE),
        ([A_COVID, B_NORMAL, ("C", ADJUDICATOR, Label.NORMAL)], Settlement.ADJUDICATED),
    ],
)
def test_the_newest_opinion_of_each_reader_counts(
    opinions: list[tuple[str | None, ReaderRole, Label]], settlement: Settlement
) -> None:
    assert settle(opinions) is settlement


def test_a_film_without_an_opinion_is_not_settled() -> None:
    with pytest.raises(ValueError, match="no opinion"):
        settle([])


def test_every_way_has_its_number() -> None:
    counted = count_settlements({1: [A_COVID], 2: [A_COVID, B_NORMAL]})

    assert counted == {"agreed": 0, "single": 1, "disputed": 1, "adjudicated": 0}
