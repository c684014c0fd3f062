"""What a reader is asked to read: a sample fixed by chance before any ranking, then what may teach most."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

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
    return int.from_bytes(make_draw(key)(sha256.encode())[:_PLACE_BYTES], "big") / _PLACES


def make_draw(key: bytes) -> Callable[[bytes], bytes]:
    """What draws film after film under a key by the digits of its SHA-256: 32 bytes, in the order of their places.

    HMAC-SHA256 (RFC 2104) out of states that have the key already: `hmac.digest` takes nearly three times as long.
    """
    block = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + b"audit sample ").copy
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block)).copy

    def draw(digits: bytes) -> bytes:
        inside, outside = inner(), outer()
        inside.update(digits)
        outside.update(inside.digest())
        return outside.digest()

    return draw


_BLOCK, _PLACE_BYTES, _PLACES = 64, 7, 2**56
# What the draw of a film of the sample is below.
AUDIT_END: Final = int(AUDIT_SHARE * _PLACES).to_bytes(_PLACE_BYTES, "big")


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
    audit: list[tuple[bytes, int]] = []
    ranked: list[tuple[Rank, int]] = []
    labelled: list[ScoredFilm] = []
    others: set[int] = set()
    draw, rank_of = make_draw(key), make_rank(point)
    for film in films:
        if film.xray_id in without:
            continue
        if film.label is not None:
            labelled.append(film)
        if film.is_listed:
            continue
        if (place := draw(film.sha256.encode())) < AUDIT_END:
            audit.append((place, film.xray_id))
        elif film.label is None:
            ranked.append((rank_of(film), film.xray_id))
        else:
            others.add(film.xray_id)
    labelled.sort(key=lambda film: film.xray_id)
    sample = [(xray_id, ListReason.AUDIT, AUDIT_SHARE) for _, xray_id in sorted(audit)]
    first = math.ceil(size * _AUDIT_PART)
    chosen = [
        *sample[:first],
        *((xray_id, _RANKED[rank[0]], 1.0) for rank, xray_id in sorted(ranked)[:size]),
        *((film.xray_id, ListReason.LABEL, 1.0) for film in find_label_errors(labelled) if film.xray_id in others),
        *sample[first:],
    ]
    return chosen[:size]


# Films without a label come onto a list in the order of their ranks: the place of the reason in `_RANKED`, then doubt.
Rank = tuple[int, float]
_RANKED: Final = (ListReason.UNLIKE, ListReason.REFER, ListReason.SHADOW, ListReason.DOUBT)


def make_rank(point: OperatingPoint) -> Callable[[ScoredFilm], Rank]:
    """What tells the rank of a film without a label: the first reason that holds, and its score's doubt.

    What the thresholds say counts, whoever referred all; what another model said by its own counts as it said it.
    """
    doubt_of = make_doubt(point)

    def rank(film: ScoredFilm) -> Rank:
        outcome = film.said_before or point.outcome(film.probability)
        is_disputed = film.shadow is not None and film.shadow is not outcome
        reasons = (film.is_unlike, outcome is Outcome.REFER, is_disputed, True)
        return reasons.index(True), doubt_of(film.probability)

    return rank


def find_reach(point: OperatingPoint, reason: ListReason, last: Rank | None) -> tuple[Span, Span]:
    """Which scores a film may have that comes for this reason, and not after `last`, the last rank on a full list.

    Two spans of P(covid), from and to, of which one must hold it. They hold some scores too many, never one too few.
    """
    place = _RANKED.index(reason)
    if last is None or place < last[0]:
        return (0.0, 1.0), (0.0, 1.0)
    if place > last[0]:
        return (1.0, 0.0), (1.0, 0.0)
    thresholds = _thresholds_of(point)
    return _span(thresholds[0], last[1]), _span(thresholds[-1], last[1])


Span = tuple[float, float]


def _span(threshold: float, doubt: float) -> Span:
    """The scores at most so far from a threshold and, for the rounding, a hair farther; 0 and 1 end the scale."""
    least, most = _log_odds(threshold) - doubt - 1e-6, _log_odds(threshold) + doubt + 1e-6
    start = 0.0 if least <= _log_odds(0) else 1 / (1 + math.exp(-least))
    return start, 1.0 if most >= _log_odds(1) else 1 / (1 + math.exp(-most))


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
    thresholds = [_log_odds(threshold) for threshold in _thresholds_of(point)]
    return lambda probability: min([abs(_log_odds(probability) - threshold) for threshold in thresholds])


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


def _draw_repeats(own: Sequence[OwnReading], size: int, now: datetime, chance: random.Random) -> list[int]:
    """One film in twenty that this reader read at least 14 days and 50 films ago."""
    early = own[: len(own) - _REPEAT_AFTER_FILMS]
    old = [reading.xray_id for reading in early if now - reading.read_at >= _REPEAT_AFTER]
    return chance.sample(old, min(len(old), round(size * _REPEATS)))


def _thresholds_of(point: OperatingPoint) -> tuple[float, ...]:
    return point.thresholds or (0.5,)


def _log_odds(probability: float) -> float:
    held: float = min(max(probability, 1e-9), 1 - 1e-9)
    return math.log(held / (1 - held))
