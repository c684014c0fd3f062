"""Who settles which disputed film: a third reader, else both readers once more; and what is shown of what was said."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from xray_core.reading.records import Opinion, fold_name
from xray_core.reading.settled import Settlement, find_newest, find_read_again, settle


@dataclass(frozen=True, slots=True)
class Disputes:
    """The disputed films (X-ray ids), as one reader finds them.

    Of `to_adjudicate` the reader has said nothing; `to_read_again` are the reader's own disputes where there is nobody
    else to settle them. `for_others` wait for a third reader, one of `others`; `waiting` for the other reader's second
    reading.
    """

    to_adjudicate: tuple[int, ...]
    to_read_again: tuple[int, ...]
    for_others: int
    others: tuple[str, ...]
    waiting: int


def find_disputes(films: Mapping[int, Sequence[Opinion]], reader: str, readers: Collection[str]) -> Disputes:
    """Sort the disputed films for a reader; `readers` are the names of all. Films are X-ray ids with their opinions.

    The adjudicator of a film is nobody who has said something of it (Duggan 2021, BJR: asynchronous adjudication ends
    most disputes within two rounds).
    """
    me = fold_name(reader)
    adjudicate: list[int] = []
    again: list[int] = []
    others: set[str] = set()
    for_others = waiting = 0
    for xray_id, opinions in films.items():
        if settle(opinions) is not Settlement.DISPUTED:
            continue
        said = find_newest(opinions).keys()
        third = {name for name in readers if fold_name(name) not in said}
        if me not in said:
            adjudicate.append(xray_id)
        elif third:
            for_others += 1
            others |= third
        elif me in find_read_again(opinions):
            waiting += 1
        else:
            again.append(xray_id)
    return Disputes(tuple(adjudicate), tuple(again), for_others, tuple(sorted(others)), waiting)


def list_opinions(opinions: Sequence[Opinion], seed: int | str) -> list[Opinion]:
    """What readers said of a film last, in an order that tells nobody's name and stays the same for a seed."""
    newest = find_newest(opinions)
    shown = [newest[name] for name in sorted(newest)]
    random.Random(f"opinions {seed}").shuffle(shown)  # an order, no secret
    return shown
