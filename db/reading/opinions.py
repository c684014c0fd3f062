"""What was said of each film, by whom and as what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from db.bulk import pieces
from db.reading.tables import ReadingListItemRow, ReadingListRow
from db.scoring.tables import LabelRow, ResultRow, XrayRow
from xray_core.reading.records import LabelSource, ListPurpose, Opinion
from xray_core.reading.settled import Settlement, find_settled, settle
from xray_core.records import Label


def read_opinions(
    session: Session,
    *,
    upto: int | None = None,
    sha256s: Sequence[str] | None = None,
    among: Select[tuple[int]] | None = None,
) -> dict[int, list[Opinion]]:
    """Per X-ray, by its id: every label row up to the one with this id (all without one), oldest first.

    With `sha256s` (one piece of an IN list), or with `among`, a question for ids, of these X-rays alone.
    """
    films: defaultdict[int, list[Opinion]] = defaultdict(list)
    row, item, of = LabelRow, ReadingListItemRow, ReadingListRow
    said = (
        select(
            row.xray_id,
            row.reader,
            row.role,
            row.label,
            row.source,
            row.score_visible,
            row.sure,
            row.exclude_reason,
            of.purpose,
            item.reason,
        )
        .outerjoin(item, item.id == row.list_item_id)
        .outerjoin(of, of.id == item.list_id)
        .order_by(row.id)
    )
    if upto is not None:
        said = said.where(row.id <= upto)
    if sha256s is not None:
        said = said.where(row.xray_id.in_(_BY_SHA256))
    if among is not None:
        said = said.where(row.xray_id.in_(among))
    for found in session.execute(said, {} if sha256s is None else {"sha256s": sha256s}).tuples():
        films[found[0]].append(_to_opinion(found[1:]))
    return dict(films)


# An export asks for a thousand pieces: a list inside a statement stays, in a circle of references, until somebody looks
# for those.
_BY_SHA256 = select(XrayRow.id).where(XrayRow.sha256.in_(bindparam("sha256s", expanding=True)))
_NAMES = select(XrayRow.id, XrayRow.sha256).where(XrayRow.id.in_(bindparam("xray_ids", expanding=True)))


@lru_cache(maxsize=4096)
def _to_opinion(said: tuple[Any, ...]) -> Opinion:
    """The same of many films is one value."""
    reader, role, label, source, visible, sure, why, purpose, reason = said
    return Opinion(reader, role, label, LabelSource(source), visible, sure, why, purpose is ListPurpose.AGAIN, reason)


def find_first_unread(session: Session, *, upto: int | None = None) -> int | None:
    """The id of the first X-ray that came in and was scored and of which nobody has said anything; None where none is.

    With `upto` what was said after the label with that id does not count.
    """
    said = select(LabelRow.id).where(LabelRow.xray_id == XrayRow.id)
    if upto is not None:
        said = said.where(LabelRow.id <= upto)
    scored = select(ResultRow.id).where(ResultRow.xray_id == XrayRow.id)
    unread = select(XrayRow.id).where(~said.exists(), scored.exists()).order_by(XrayRow.id).limit(1)
    return session.scalar(unread)


@dataclass(frozen=True, slots=True)
class FilmStanding:
    """What the opinions on a film come to; the label is None while it is disputed. `reader` said it last."""

    settlement: Settlement
    label: Label | None
    reader: str | None


def read_standings(session: Session, *, sha256s: Sequence[str] | None = None) -> dict[str, FilmStanding]:
    """Of every film (or of these) of which anything was said, by its SHA-256: what it comes to, whoever spoke last."""
    films = read_opinions(session, sha256s=sha256s)
    names: dict[int, str] = {}
    for part in pieces(list(films)):
        found = session.execute(_NAMES, {"xray_ids": part})
        names |= dict(found.tuples().all())
    return {names[xray_id]: _stand(opinions) for xray_id, opinions in films.items()}


def _stand(opinions: list[Opinion]) -> FilmStanding:
    label = find_settled(opinions)
    reader = next((one.reader for one in reversed(opinions) if one.label is label), None)
    return FilmStanding(settle(opinions), label, reader)
