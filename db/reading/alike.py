"""Labelled films that are alike in all that a plan of a training counts: one stands for all."""

from __future__ import annotations

from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Select, Text, select, type_coerce
from sqlalchemy.orm import Session

from db.reading.said import SaidOfFilms
from db.scoring import patient_tally, xrays
from db.scoring.tables import LabelRow, SplitMemberRow, XrayRow
from xray_core.records import name_content_group
from xray_core.training.implausible_patients import HANDFUL

# An IN list that both databases take.
_MOST_LISTED = 20_000


@dataclass(frozen=True, slots=True)
class AlikeFilms:
    """The X-rays to read, a question for their ids (None: all that are labelled), and for how many each of them stands.

    One that is not among `numbers` stands for itself.
    """

    among: Select[tuple[int]] | None = None
    numbers: Mapping[int, int] = field(default_factory=dict)


def find_alike(
    session: Session, said: SaidOfFilms, *, external: Collection[str], unread: Sequence[int | None]
) -> AlikeFilms:
    """Of patients who stand on a side for ever and are alike, the films of one.

    Alike are two on the same side of whom as many films were labelled, each with one of the other's: the same was said
    of both by the same readers, before the last training and since, they came from the same source and folder, and lie
    before the same of the films `unread` (by their ids). Read by itself is whoever has no side yet or more labelled
    films than a person has, or of whose films one was another's or nobody's before, or is one of `external` (SHA-256s).
    """
    films, sides, alone = _read_films(session, said, unread, _find_apart(session, external))
    chosen: list[int] = []
    first: dict[tuple[object, ...], _Patient] = {}
    alike: Counter[_Patient] = Counter()
    for patient, own in films.items():
        side = sides[patient]
        if side is None or patient in alone or len(own) > HANDFUL:
            chosen += [xray_id for _, xray_id in own]
            continue
        kinds = sorted([kind for kind, _ in own]) if len(own) > 1 else (own[0][0],)
        alike[first.setdefault((side, type(patient), *kinds), patient)] += 1
    numbers = {xray_id: number for patient, number in alike.items() for _, xray_id in films[patient]}
    chosen += numbers
    if len(chosen) > _MOST_LISTED:
        return AlikeFilms()
    return AlikeFilms(select(XrayRow.id).where(XrayRow.id.in_(chosen)), numbers)


# A patient by the pseudonym; a film of nobody's stands for one, by its X-ray's id.
_Patient = str | int


def _read_films(
    session: Session, said: SaidOfFilms, unread: Sequence[int | None], apart: Collection[int]
) -> tuple[dict[_Patient, list[tuple[int, int]]], dict[_Patient, str | None], set[_Patient]]:
    """Of each patient the films, each with the number of its kind; the side, if any; and who is to be read alone."""
    of_patient, of_content = _read_sides(session)
    kinds: dict[tuple[object, ...], int] = {}
    films: defaultdict[_Patient, list[tuple[int, int]]] = defaultdict(list)
    sides: dict[_Patient, str | None] = {}
    alone: set[_Patient] = set()
    before = sorted(first for first in unread if first is not None)
    for xray_id, patient, source, folder_id in session.connection().execute(_FILMS).all():
        kind = kinds.setdefault((said.films[xray_id], source, folder_id, bisect(before, xray_id)), len(kinds))
        whose: _Patient = xray_id if patient is None else patient
        films[whose].append((kind, xray_id))
        sides[whose] = of_content.get(xray_id) if patient is None else of_patient.get(patient)
        if xray_id in apart or (patient is not None and xray_id in of_content):
            alone.add(whose)
    return films, sides, alone


_FILMS = select(XrayRow.id, XrayRow.patient, XrayRow.source, XrayRow.folder_id).where(
    XrayRow.id.in_(select(LabelRow.xray_id))
)


def _find_apart(session: Session, external: Collection[str]) -> set[int]:
    """The labelled X-rays that were another patient's, and those that judged at another site."""
    former = patient_tally.read_former_patients(session, among=select(LabelRow.xray_id))
    return {*former, *xrays.read_ids(session, sorted(external)).values()}


def _read_sides(session: Session) -> tuple[dict[str, str], dict[int, str]]:
    """The patients who stand on a side, by pseudonym, and the X-rays, by id, that do as nobody's."""
    begins = name_content_group("")
    rows = session.connection().execute(select(SplitMemberRow.split_group, type_coerce(SplitMemberRow.split, Text)))
    of_patient = dict(rows.tuples().all())
    groups = [group for group in of_patient if group.startswith(begins)]
    of_sha256 = {group.removeprefix(begins): of_patient.pop(group) for group in groups}
    return of_patient, {xray_id: of_sha256[sha256] for sha256, xray_id in xrays.read_ids(session, of_sha256).items()}
