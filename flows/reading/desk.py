"""One reader's list as the page asks for it: numbers and pictures, and nothing that tells what a film is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from db.engine import snapshot
from db.reading import lists
from db.reading.opinions import read_opinions
from db.scoring import xrays
from flows.home.films import make_locator
from flows.home.site_key import read_site_key
from flows.reading.heat import HeatMaps
from flows.reading.reveal import make_reveal
from flows.review.given_verdicts import name_list
from flows.settings import Settings
from xray_core.reading.adjudication import list_opinions
from xray_core.reading.film_reader import FilmOrder, FilmReader
from xray_core.reading.film_script import write_call, write_missing_script
from xray_core.reading.records import ListItem, ListPurpose, Opinion
from xray_core.records import Refusal
from xray_core.stores.film import FilmPlace


@dataclass(frozen=True, slots=True)
class Desk:
    """An open list: its films, where they lie, and the ledger that takes the verdicts.

    `name` is the list's in a folder; `opinions` are what an adjudicator is shown, by position; on every other list
    there are none.
    """

    settings: Settings
    engine: Engine
    list_id: int
    name: str
    items: tuple[ListItem, ...]
    orders: dict[str, FilmOrder]
    purpose: ListPurpose
    opinions: dict[int, list[Opinion]]

    def find_revealed(self) -> dict[int, FilmPlace]:
        """The X-rays whose score is shown after the verdict, and where they lie."""
        return {item.xray_id: self.orders[str(item.position)].place for item in self.items if item.reveal}


def open_desk(settings: Settings, engine: Engine, list_id: int, *, masked: bool = False) -> Desk:
    """Everything that the page may ask for, by the names that it knows: "12" is a film, "12p" one before it."""
    locate = make_locator(settings)
    with snapshot(engine) as session:
        items = lists.items_of(session, list_id)
        priors = xrays.find_priors(session, [item.xray_id for item in items])
        of = lists.find_list(session, list_id)
        list_name = name_list(session, read_site_key(settings), list_id) or str(list_id)
        is_adjudicated = of is not None and of.purpose is ListPurpose.ADJUDICATION
        said = read_opinions(session) if is_adjudicated else {}
    opinions = {
        item.position: list_opinions(said[item.xray_id], f"{list_id} {item.position}") for item in items if said
    }
    orders: dict[str, FilmOrder] = {}
    for item in items:
        name = str(item.position)
        orders[name] = FilmOrder(name, locate(item.path), item.sha256, masked)
        if (prior := priors.get(item.xray_id)) is not None:
            orders[f"{name}p"] = FilmOrder(f"{name}p", locate(prior.path), prior.sha256, masked)
    return Desk(
        settings, engine, list_id, list_name, items, orders, of.purpose if of else ListPurpose.READING, opinions
    )


def write_list_script(desk: Desk, *, file: str | None = None) -> bytes:
    """`Xray.open({...})`: how many films, the reader's own verdicts so far; with a file's name for a folder."""
    with snapshot(desk.engine) as session:
        items = lists.items_of(session, desk.list_id)
    return write_call("open", describe_list(desk, items, file))


def describe_list(desk: Desk, items: Sequence[ListItem], file: str | None) -> dict[str, Any]:
    """What the page knows of a list: no film's content, name, date, reason or score, and no reader's name."""
    return {
        "list": str(desk.list_id) if file is None else desk.name,
        "count": len(items),
        "offline": file is not None,
        "file": file or "",
        "priors": sorted(int(name[:-1]) for name in desk.orders if name.endswith("p")),
        "purpose": desk.purpose.value,
        "opinions": {
            position: [
                {"label": one.label.value, "sure": one.sure is not False, "exclude_reason": one.exclude_reason}
                for one in said
            ]
            for position, said in desk.opinions.items()
        },
        "read": {
            item.position: {"label": item.label.value, "sure": item.sure, "exclude_reason": None}
            for item in items
            if item.label is not None
        },
    }


def write_film(desk: Desk, films: FilmReader, name: str) -> bytes | None:
    """The script of a film of this list, or of why it cannot be shown; None for a name that the list has not."""
    order = desk.orders.get(name)
    if order is None:
        return None
    answer = films.read(order)
    return write_missing_script(name, answer) if isinstance(answer, Refusal) else answer


def read_reveal(desk: Desk, item: ListItem, maps: HeatMaps) -> dict[str, Any] | None:
    """What may be shown of a film; None before its verdict is in the ledger, and where its list reveals nothing."""
    with snapshot(desk.engine) as session:
        is_read = any(one.label for one in lists.items_of(session, item.list_id) if one.position == item.position)
        return make_reveal(session, desk.settings, item, maps) if is_read else None
