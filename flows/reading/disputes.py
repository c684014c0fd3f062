"""A reader's next disputed films: to adjudicate, or, where there is no third reader, to read once more."""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from db.engine import transaction
from db.reading import lists, readers
from db.reading.opinions import read_opinions
from flows.reading.lists import hash_guide
from flows.settings import Settings
from xray_core.errors import RefusedInput
from xray_core.reading.adjudication import Disputes, find_disputes
from xray_core.reading.reading_list import LONGEST_LIST
from xray_core.reading.records import ChosenFilm, ListPurpose, ListReason

_OF_DISPUTES = (ListPurpose.ADJUDICATION, ListPurpose.AGAIN)


@dataclass(frozen=True, slots=True)
class DisputeList:
    """The list that a reader goes on with, None where there is none; and what to tell the reader."""

    list_id: int | None
    sentence: str


def open_dispute_list(settings: Settings, engine: Engine, reader: str, *, size: int) -> DisputeList:
    """The reader's open list of disputed films, else a new one. Raises RefusedInput for a reader that nobody added."""
    with transaction(engine) as session:
        reader_id = readers.find_reader(session, reader)
        if reader_id is None:
            raise RefusedInput(f'no reader {reader!r} here; `xray readers add "{reader}"` adds one')
        found = lists.open_list(session, reader, purposes=_OF_DISPUTES)
        if found is not None:
            return DisputeList(found.list_id, _SAYS[found.purpose])
        disputes = find_disputes(read_opinions(session), reader, readers.list_readers(session))
        films = disputes.to_adjudicate or disputes.to_read_again
        if not films:
            return DisputeList(None, say_nothing_left(disputes))
        purpose = ListPurpose.ADJUDICATION if disputes.to_adjudicate else ListPurpose.AGAIN
        return DisputeList(_add(settings, session, reader_id, films[:size], purpose), _SAYS[purpose])


_SAYS = {
    ListPurpose.ADJUDICATION: "readers contradict each other on these films: your verdict settles them",
    ListPurpose.AGAIN: "you and another reader contradict each other on these films, and there is no third reader: "
    "both read them once more, blind; what stays disputed is unsure",
}


def say_nothing_left(disputes: Disputes) -> str:
    """Why a reader has no disputed film, and whose turn it is."""
    told: list[str] = []
    if disputes.for_others:
        names = ", ".join(f"`xray labels adjudicate --reader {name!r}`" for name in disputes.others[:3])
        told.append(f"{disputes.for_others} disputed films wait for somebody who has not read them: {names}")
    if disputes.waiting:
        told.append(f"{disputes.waiting} disputed films wait until the other reader has read them again")
    return "; ".join(told) or "no film is disputed: there is nothing to adjudicate (`xray labels status` counts them)"


def _add(settings: Settings, session: Session, reader_id: int, films: tuple[int, ...], purpose: ListPurpose) -> int:
    seed = secrets.randbelow(2**31)
    order = list(films[:LONGEST_LIST])
    random.Random(seed).shuffle(order)  # an order, no secret
    return lists.add_list(
        session,
        reader_id,
        [ChosenFilm(xray_id, ListReason.LABEL, 1.0, reveal=False) for xray_id in order],
        seed=seed,
        reveal_share=0,
        guide_sha256=hash_guide(settings),
        now=datetime.now(UTC),
        purpose=purpose,
    )
