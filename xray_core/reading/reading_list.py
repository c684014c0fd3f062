"""What a reader is asked to read: a sample fixed by chance before any ranking, then what may teach most."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from xray_core.models.records import OperatingPoint
from xray_core.reading.label_errors import doubt_labels
from xray_core.reading.records import ChosenFilm, ListReason
from xray_core.records import Label, Outcome

AUDIT_SHARE: Final = 0.2
# A list is never all audit: half of it is kept for the films that the model is unsure of.
_AUDIT_PART: Final = 0.5
_REPEATS: Final = 0.05
_REPEAT_AFTER: Final = timedelta(days=14)
_REPEAT_AFTER_FILMS: Final = 50
LONGEST_LIST: Final = 50


class ScoredFilm(NamedTuple):
    """A film with what the champion said of it; `probability` is P(covid).

    A tuple, for there may be a million of them, read one after the other.

    `said_before` is the outcome by another model where the champion has not scored the film; so is `probability` then.
    `shadow` is the shadow model's outcome where there is one; `label` what settled it so far; `is_held_out` says that
    no training ever learned from it; `is_listed` that it stands on somebody's list; `is_doubted` that the last label
    check found its label doubtful.
    """

    xray_id: int
    sha256: str
    probability: float
    is_unlike: bool
    shadow: Outcome | None
    label: Label | None
    is_held_out: bool
    is_listed: bool = False
    is_doubted: bool = False
    said_before: Outcome | None = None


@dataclass(frozen=True, slots=True)
class OwnReading:
    """A film that the reader has read, and when last."""

    xray_id: int
    read_at: datetime


def draw_audit(key: bytes, sha256: str) -> float:
    """Where chance put a film, 0 to below 1: a keyed hash of its content, the same for ever and for everybody.

    A film below AUDIT_SHARE belongs to the audit sample, whatever any model says of it.
    """
    return int.from_bytes(make_draw(key)(sha256)[:_PLACE_BYTES], "big") / _PLACES


def make_draw(key: bytes) -> Callable[[str], bytes]:
    """What draws film after film under a key: 32 bytes, in the order of their places.

    HMAC-SHA256 (RFC 2104) out of states that have the key already: `hmac.digest` takes nearly three times as long.
    """
    block = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + b"audit sample ").copy
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block)).copy

    def draw(sha256: str) -> bytes:
        inside, outside = inner(), outer()
        inside.update(sha256.encode())
        outside.update(inside.digest())
        return outside.digest()

    return draw


_BLOCK, _PLACE_BYTES, _PLACES = 64, 7, 2**56
# What the draw of a film of the sample is below.
_AUDIT_END = int(AUDIT_SHARE * _PLACES).to_bytes(_PLACE_BYTES, "big")


def rank_films(
    films: Iterable[ScoredFilm], point: OperatingPoint, key: bytes, *, size: int, without: Collection[int] = ()
) -> list[tuple[int, ListReason, float]]:
    """The X-rays to read, in the order in which a list is filled: id, reason, probability of being chosen by chance.

    First the audit films by the hash that chose them, up to half of `size`; then those referred as unlike a chest
    film, those inside the refer band, those on which champion and shadow disagree, the others by doubt (distance from
    the nearest threshold in log-odds), those whose old label may be wrong, and the audit films that are left. Films on
    somebody's list come no more, and those `without` count for nothing.

    A film of the audit sample comes in its turn alone, whatever the model says of it and whether it has a label: what
    doubt took out of the sample, or a person by labelling, would be missing from it.
    """
    audit, ranked = _Smallest(size, end=_AUDIT_END), _Smallest(size, end=(len(_RANKED),))
    labelled: list[ScoredFilm] = []
    others: set[int] = set()
    draw, doubt_of, lower, upper = make_draw(key), make_doubt(point), point.lower, point.upper
    for film in films:
        # There may be a million, nearly all plain: what is asked of each is asked in as few steps as there are.
        xray_id, sha256, probability, is_unlike, shadow, label, _, is_listed, _, said_before = film
        if xray_id in without:
            continue
        if label is not None:
            labelled.append(film)
        if is_listed:
            continue
        if (place := draw(sha256)) < _AUDIT_END:
            if place <= audit.end:
                audit.add((place, xray_id, ListReason.AUDIT, AUDIT_SHARE))
        elif label is None:
            is_plain = not is_unlike and shadow is None and said_before is None and not lower <= probability < upper
            reason = _PLAIN if is_plain else _reason_of(film, point)
            if (reason,) <= ranked.end:
                ranked.add(((reason, doubt_of(probability)), xray_id, _RANKED[reason], 1.0))
        else:
            others.add(xray_id)
    labelled.sort(key=lambda film: film.xray_id)
    sample = [entry[1:] for entry in audit.sort()]
    first = math.ceil(size * _AUDIT_PART)
    chosen = [
        *sample[:first],
        *(entry[1:] for entry in ranked.sort()),
        *((film.xray_id, ListReason.LABEL, 1.0) for film in find_label_errors(labelled) if film.xray_id in others),
        *sample[first:],
    ]
    return chosen[:size]


class _Smallest:
    """The so many smallest of ever so many entries, which differ in their first two places.

    Whatever begins with more than `end` is none of them: what it takes to know the rest of an entry is dear.
    """

    def __init__(self, size: int, *, end: Any) -> None:
        self.end = end
        self._size = size
        self._kept: list[tuple[Any, int, ListReason, float]] = []

    def add(self, entry: tuple[Any, int, ListReason, float]) -> None:
        """Keep it, unless as many are smaller."""
        if entry[0] > self.end:
            return
        self._kept.append(entry)
        if len(self._kept) > 2 * self._size:
            self.end = self.sort()[-1][0]

    def sort(self) -> list[tuple[Any, int, ListReason, float]]:
        """The smallest, in order."""
        self._kept.sort()
        del self._kept[self._size :]
        return self._kept


def compose_list(
    films: Iterable[ScoredFilm],
    own: Iterable[OwnReading],
    shared: Sequence[ChosenFilm],
    point: OperatingPoint,
    key: bytes,
    *,
    size: int,
    reveal_share: float,
    seed: int,
    now: datetime,
) -> list[ChosenFilm]:
    """A list of at most `size` films in an order of the reader's own, each chosen for a reason.

    `own` is what this reader has read, oldest first; those films come back as repeats alone, one in twenty, after 14
    days and 50 films. `shared` are films on another reader's list that this one has not read: they come first, so that
    two readers read the same films.
    """
    chance = random.Random(seed)  # an order, no secret
    own = list(own)
    read = {reading.xray_id for reading in own}
    repeats = _draw_repeats(own, size, now, chance)
    first = [(film.xray_id, film.reason, film.selection_probability) for film in shared if film.xray_id not in read]
    given = {xray_id for xray_id, *_ in first} | read
    ranked = rank_films(films, point, key, size=size, without=given)
    fresh = [*first, *ranked][: size - len(repeats)]
    entries = [*fresh, *((xray_id, ListReason.REPEAT, 1.0) for xray_id in repeats)]
    chance.shuffle(entries)
    return [ChosenFilm(*entry, reveal=chance.random() < reveal_share) for entry in entries]


def make_doubt(point: OperatingPoint) -> Callable[[float], float]:
    """What measures the distance of a score from the nearest threshold, in log-odds, 0.5 where there is none.

    0 is the threshold itself.
    """
    thresholds = [_log_odds(threshold) for threshold in point.thresholds or (0.5,)]
    return lambda probability: min([abs(_log_odds(probability) - threshold) for threshold in thresholds])


def mark_doubted(films: Iterable[ScoredFilm], doubted: frozenset[str]) -> Iterable[ScoredFilm]:
    """The films, those with a doubted label (by SHA-256) marked."""
    marked = (film._replace(is_doubted=True) if film.sha256 in doubted else film for film in films)
    return marked if doubted else films


def find_label_errors(films: Sequence[ScoredFilm]) -> list[ScoredFilm]:
    """Labelled films whose label may be wrong: by the last label check, then those that held-out scores contradict.

    Pure; a label is never changed.
    """
    own = [film for film in films if film.said_before is None]  # scores of two models share no scale
    judged = [film for film in own if film.is_held_out and film.label in (Label.COVID, Label.NORMAL)]
    places = doubt_labels([film.probability for film in judged], [film.label is Label.COVID for film in judged])
    checked = [film for film in films if film.is_doubted and film.label in (Label.COVID, Label.NORMAL)]
    found = {film.xray_id: film for film in (*checked, *(judged[place] for place in places))}
    return list(found.values())


_RANKED: Final = (ListReason.UNLIKE, ListReason.REFER, ListReason.SHADOW, ListReason.DOUBT)
_PLAIN: Final = _RANKED.index(ListReason.DOUBT)


def _reason_of(film: ScoredFilm, point: OperatingPoint) -> int:
    """The place in `_RANKED` of the first reason that holds; what the thresholds say counts, whoever referred all.

    What another model said by its own thresholds counts as it said it.
    """
    if film.is_unlike:
        return 0
    outcome = film.said_before or point.outcome(film.probability)
    if outcome is Outcome.REFER:
        return 1
    return 2 if film.shadow is not None and film.shadow is not outcome else _PLAIN


def _draw_repeats(own: Sequence[OwnReading], size: int, now: datetime, chance: random.Random) -> list[int]:
    """One film in twenty that this reader read at least 14 days and 50 films ago."""
    early = own[: len(own) - _REPEAT_AFTER_FILMS]
    old = [reading.xray_id for reading in early if now - reading.read_at >= _REPEAT_AFTER]
    return chance.sample(old, min(len(old), round(size * _REPEATS)))


def _log_odds(probability: float) -> float:
    held: float = min(max(probability, 1e-9), 1 - 1e-9)
    return math.log(held / (1 - held))
