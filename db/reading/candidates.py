"""The films that may come onto a list: of a million scored ones the few that chance drew first or doubt puts first."""

from __future__ import annotations

import heapq
from binascii import hexlify
from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sqlalchemy import TextClause, bindparam, func, select, text
from sqlalchemy.orm import Session

from db.bulk import pieces, read_rows
from db.reading.films import find_learned
from db.reading.tables import ReadingListItemRow, ReadingListRow
from db.scoring.tables import LabelRow, ResultRow, XrayRow
from xray_core.models.records import OperatingPoint
from xray_core.reading.reading_list import AUDIT_END, Rank, ScoredFilm, find_reach, make_draw, make_rank
from xray_core.reading.records import ListPurpose, ListReason
from xray_core.records import SCORE_REASONS, Label, Outcome, is_unlike


def list_candidates(
    session: Session,
    model_id: int,
    point: OperatingPoint,
    key: bytes,
    *,
    size: int,
    without: Collection[int] = (),
    with_labelled: bool = True,
    doubted: Collection[str] = (),
) -> list[ScoredFilm]:
    """The scored films, by id, of which `rank_films` makes the same list of this size as of all that there are.

    What counts of a film is the champion's newest score or, where it has not yet come to it, the newest of all; and
    its newest shadow's outcome. Films `without`, and labelled ones without `with_labelled`, come onto no list. The
    last label check `doubted` the labels of films with these SHA-256s.
    """
    labels, listed = _read_labels(session), _find_listed(session)
    known = _Known(session, model_id, labels, listed, frozenset(doubted))
    taken, said = listed.union(without), labels.keys()
    found = _find_sample(session, key, size, taken if with_labelled else taken | said)
    films = _find_nearest(known, _Nearest(point, key, size, taken | said))
    if with_labelled:
        films |= {film.xray_id: film for film in known.ask(_JUDGED)}
        found |= {xray_id for xray_id in _find_ids(session, doubted) if xray_id in labels}
    films |= {film.xray_id: film for part in pieces(sorted(found)) for film in known.ask(_NAMED, xray_ids=part)}
    for part in pieces([xray_id for xray_id in films if xray_id in labels]):
        for xray_id in find_learned(session, among=select(XrayRow.id).where(XrayRow.id.in_(part))):
            films[xray_id] = films[xray_id]._replace(is_held_out=False)
    return [film for _, film in sorted(films.items())]


def _find_sample(session: Session, key: bytes, size: int, taken: Container[int]) -> set[int]:
    """The scored films that chance drew first of the audit sample, so many at most, without those that are taken.

    Chance must be asked of every film, so nothing but its content is read, which an index holds. Which film it is, and
    whether it was scored, is asked of those that chance puts first.
    """
    draw, end = make_draw(key), AUDIT_END
    drawn: list[tuple[bytes, str]] = []
    kept: list[tuple[bytes, int]] = []
    for part in read_rows(session, text("SELECT sha256 FROM xrays")):
        for (content,) in part:
            digits = content.encode() if isinstance(content, str) else hexlify(content)  # SQLite holds the bytes
            if (place := draw(digits)) < end:
                drawn.append((place, digits.decode()))
        if len(drawn) > size:
            kept = sorted([*kept, *_find_scored(session, drawn, taken)])[:size]
            drawn, end = [], kept[-1][0] if len(kept) == size else AUDIT_END
    return {xray_id for _, xray_id in sorted([*kept, *_find_scored(session, drawn, taken)])[:size]}


def _find_scored(
    session: Session, drawn: Sequence[tuple[bytes, str]], taken: Container[int]
) -> Iterator[tuple[bytes, int]]:
    """The ids of films that were scored and are not taken, instead of their contents."""
    row = ResultRow
    is_scored = select(row.id).where(row.xray_id == XrayRow.id, ~row.shadow).exists()
    for part in pieces(drawn):
        asked = XrayRow.sha256.in_([sha256 for _, sha256 in part])
        ids = dict(session.execute(select(XrayRow.sha256, XrayRow.id).where(asked, is_scored)).tuples().all())
        yield from ((place, ids[sha256]) for place, sha256 in part if sha256 in ids and ids[sha256] not in taken)


def _find_ids(session: Session, sha256s: Collection[str]) -> set[int]:
    found = (session.scalars(select(XrayRow.id).where(XrayRow.sha256.in_(part))) for part in pieces(sorted(sha256s)))
    return set(chain.from_iterable(found))


def _find_nearest(known: _Known, nearest: _Nearest) -> dict[int, ScoredFilm]:
    """By id the films of lowest rank.

    A few results say how near one must be, twice as many are asked for what is as near, and so on: SQLite looks through
    a million in a fifth of a second, and hardly one of them leaves it.
    """
    first, end = known.session.execute(select(func.min(ResultRow.id), func.max(ResultRow.id))).one()
    count = _FIRST_RESULTS
    while first is not None and first <= end:
        reach = nearest.say_reach(ListReason.REFER, ListReason.DOUBT)
        nearest.take(known.ask(_NEAR, first=first, last=first + count - 1, **reach))
        first, count = first + count, 2 * count
    if nearest.wants(ListReason.SHADOW):
        nearest.take(known.ask(_DISPUTED, **nearest.say_reach(ListReason.SHADOW)))
    return nearest.films


class _Nearest:
    """The films of lowest rank, so many at most, without those of the audit sample and those passed over."""

    def __init__(self, point: OperatingPoint, key: bytes, size: int, passed_over: Container[int]) -> None:
        self.films: dict[int, ScoredFilm] = {}
        self._point, self._size, self._passed_over = point, size, passed_over
        self._draw, self._rank_of = make_draw(key), make_rank(point)
        self._last: Rank | None = None  # of so many

    def take(self, films: Iterable[ScoredFilm]) -> None:
        """Look at some more; a film may come twice."""
        for film in films:
            if film.xray_id not in self._passed_over and self._draw(film.sha256.encode()) >= AUDIT_END:
                self.films[film.xray_id] = film
        ranks = ((self._rank_of(film), xray_id) for xray_id, film in self.films.items())
        kept = heapq.nsmallest(self._size, ranks)
        self.films = {xray_id: self.films[xray_id] for _, xray_id in kept}
        self._last = kept[-1][0] if len(kept) == self._size else None

    def wants(self, reason: ListReason) -> bool:
        """Whether any film may still come for a reason."""
        return any(start <= end for start, end in find_reach(self._point, reason, self._last))

    def say_reach(self, *reasons: ListReason) -> dict[str, float]:
        """What `_NEAR` and `_DISPUTED` ask by: the thresholds, and the spans of scores for some reasons."""
        said = {"lower": self._point.lower, "upper": self._point.upper}
        for reason in reasons:
            for place, span in enumerate(find_reach(self._point, reason, self._last)):
                said |= {f"{reason}_{place}_from": span[0], f"{reason}_{place}_to": span[1]}
        return said


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of films besides their scores: labels, which are on a list, of which the label is doubted."""

    session: Session
    model_id: int
    labels: dict[int, Label]
    listed: set[int]
    doubted: frozenset[str]

    def ask(self, statement: TextClause, **values: Any) -> Iterator[ScoredFilm]:
        """The films of one of the statements below."""
        for part in read_rows(self.session, statement.bindparams(model_id=self.model_id, **values)):
            yield from map(self._to_film, part)

    def _to_film(self, row: Sequence[Any]) -> ScoredFilm:
        xray_id, content, probability, outcome, reason, shadow = row
        sha256 = content if isinstance(content, str) else content.hex()
        return ScoredFilm(
            xray_id,
            sha256,
            probability,
            is_unlike(reason),
            None if shadow is None else Outcome(shadow),
            self.labels.get(xray_id),
            is_held_out=True,
            is_listed=xray_id in self.listed,
            is_doubted=sha256 in self.doubted,
            said_before=None if outcome is None else Outcome(outcome),
        )


def _select(condition: str) -> str:
    """Of every film with the condition the one result that counts; an outcome is that of another model.

    What most results fail is asked first.
    """
    return f"{_FILMS} WHERE {condition} AND {_COUNTS}"


_FILMS = (
    "SELECT r.xray_id, x.sha256, r.probability, CASE WHEN r.model_id <> :model_id THEN r.outcome END, r.refer_reason, "
    "(SELECT s.outcome FROM results s WHERE s.xray_id = r.xray_id AND s.shadow ORDER BY s.id DESC LIMIT 1) "
    "FROM results r JOIN xrays x ON x.id = r.xray_id"
)
_COUNTS = (
    "NOT r.shadow AND NOT EXISTS (SELECT 1 FROM results o WHERE o.xray_id = r.xray_id AND NOT o.shadow AND "
    "(o.model_id = :model_id AND r.model_id <> :model_id OR "
    "o.id > r.id AND (o.model_id = :model_id OR r.model_id <> :model_id)))"
)
# What it says by itself, or by the thresholds of today.
_OUTCOME = (
    "CASE WHEN r.model_id <> :model_id THEN r.outcome WHEN r.probability >= :upper THEN 'positive' "
    "WHEN r.probability < :lower THEN 'negative' ELSE 'refer' END"
)
_SHADOW_SAYS = (
    "r.xray_id IN (SELECT xray_id FROM results WHERE shadow) "
    "AND EXISTS (SELECT 1 FROM results s WHERE s.xray_id = r.xray_id AND s.shadow AND s.outcome"
)


def _within(reason: ListReason) -> str:
    spans = (f"r.probability BETWEEN :{reason}_{place}_from AND :{reason}_{place}_to" for place in (0, 1))
    return f"({' OR '.join(spans)})"


_NAMED = text(_select("r.xray_id IN :xray_ids")).bindparams(bindparam("xray_ids", expanding=True))
_JUDGED = text(_select("r.model_id = :model_id AND r.xray_id IN (SELECT xray_id FROM labels)"))
_NEAR = text(
    _select(
        f"r.id BETWEEN :first AND :last AND ({_within(ListReason.DOUBT)} OR {_within(ListReason.REFER)} AND "
        f"{_OUTCOME} = 'refer' OR r.refer_reason IS NOT NULL AND r.refer_reason NOT IN :score_reasons)"
    )
).bindparams(bindparam("score_reasons", sorted(SCORE_REASONS), expanding=True))
_DISPUTED = text(_select(f"{_within(ListReason.SHADOW)} AND {_SHADOW_SAYS} <> {_OUTCOME})"))
_FIRST_RESULTS = 500


def _read_labels(session: Session) -> dict[int, Label]:
    """The latest label of every X-ray that has one."""
    newest = select(func.max(LabelRow.id)).group_by(LabelRow.xray_id)
    return dict(session.execute(select(LabelRow.xray_id, LabelRow.label).where(LabelRow.id.in_(newest))).tuples().all())


def _find_listed(session: Session) -> set[int]:
    """The X-rays that stand on somebody's list for reading."""
    item, of = ReadingListItemRow, ReadingListRow
    joined = select(item.xray_id).join(of, of.id == item.list_id).where(of.purpose == ListPurpose.READING)
    return set(session.scalars(joined))
