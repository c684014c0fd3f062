"""The films that may come onto a list, of a real database: they make the list that all films would make."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, text
from sqlalchemy.orm import Session

from db.columns import Base
from db.engine import snapshot, transaction
from db.reading import lists, readers
from db.reading.candidates import list_candidates
from db.records import ModelRecord
from db.scoring.tables import LabelRow, ResultRow, XrayRow
from db.sealing import adding
from tests.db.rows import NOW, add_champion, add_incoming, import_labels, label_row, score_files, sha256_of
from xray_core.imaging.records import ScaleRule
from xray_core.models.records import OperatingPoint
from xray_core.reading.reading_list import ScoredFilm, rank_films
from xray_core.reading.records import ChosenFilm, ListReason
from xray_core.records import LIKE_NEITHER, FileFormat, Label, Outcome, is_unlike

BAND = OperatingPoint(0.3, 0.7, 0.95, None, None, 0, 0, None)
ONE_THRESHOLD = OperatingPoint(0.5, 0.5, None, None, None, 0, 0, None)
NEAR_THE_END = OperatingPoint(1e-8, 1 - 1e-8, None, None, None, 0, 0, None)
XRAYS, SCORED = 2000, 1000
# Thresholds, equal scores and what lies beyond the ends of the scale of doubt.
SCORES = (0.0, 1e-12, 1e-9, 1e-8, 0.3, 0.5, 0.7, 1 - 1e-8, 1 - 1e-9, 1.0)


def ask(
    engine: Engine, champion: ModelRecord, point: OperatingPoint = BAND, key: bytes = b"k" * 32, **asked: Any
) -> list[ScoredFilm]:
    with snapshot(engine) as session:
        return list_candidates(session, champion.model_id, point, key, **{"size": 50} | asked)


def test_a_promotion_takes_no_film_off_the_reading_lists(engine: Engine) -> None:
    score_files(engine, add_champion(engine), {"a.png": "A"})
    second = add_champion(engine, "m2")
    score_files(engine, second, {"b.png": "B"})

    films = {film.sha256: film.said_before for film in ask(engine, second)}

    assert films.keys() == {sha256_of("A"), sha256_of("B")}
    assert isinstance(films[sha256_of("A")], Outcome)
    assert films[sha256_of("B")] is None


def test_without_those_with_a_label_come_the_same_films_and_each_of_them_once(engine: Engine) -> None:
    first = add_champion(engine)
    score_files(engine, first, {"a.png": "A", "b.png": "B", "c.png": "C"})
    second = add_champion(engine, "m2")
    score_files(engine, second, {"d.png": "A", "e.png": "B"})
    import_labels(engine, label_row(content="B"))

    everything = ask(engine, second)
    waiting = ask(engine, second, with_labelled=False)

    assert [film.sha256 for film in everything] == [sha256_of(content) for content in "ABC"]
    assert waiting == [film for film in everything if film.label is None]
    assert len(waiting) == 2


@pytest.mark.lengthy
@pytest.mark.parametrize("referred", [0.02, *(pytest.param(share, marks=pytest.mark.slow) for share in (0.0, 0.3))])
@pytest.mark.parametrize("point", [BAND, ONE_THRESHOLD, NEAR_THE_END], ids=["band", "one threshold", "near the end"])
def test_they_make_the_list_that_all_films_would_make_whatever_is_referred(
    engine: Engine, point: OperatingPoint, referred: float
) -> None:
    champion = fill(engine, random.Random(f"{referred}"), referred=referred)
    keys = [bytes([number]) * 32 for number in range(8)]
    few = [(2, (), key) for key in keys]
    more = [(1, ()), (7, range(1, XRAYS, 3)), (50, range(1, XRAYS, 40)), (400, ()), (XRAYS, ())]
    for with_labelled in (True, False):
        films = read_all(engine, champion, with_labelled=with_labelled)
        for size, without, key in (*few, *((*asked, keys[0]) for asked in more)):
            found = ask(engine, champion, point, key, size=size, without=without, with_labelled=with_labelled)

            made = rank_films(found, point, key, size=size, without=without)
            assert made == rank_films(films, point, key, size=size, without=without)
            assert set(found) <= set(films)
            assert len(made) == size or size >= 400
            assert size > 2 or with_labelled or len(found) <= 2 * size


def fill(engine: Engine, chance: random.Random, *, referred: float) -> ModelRecord:
    """Films of which half were scored, by one model or several, a share of them `referred`; some have a label or stand
    on a list. The champion.
    """
    known = [add_champion(engine, version) for version in ("m1", "m2", "m3")]
    numbers = range(1, XRAYS + 1)
    with transaction(engine) as session:
        folder_id = add_incoming(session)
        _add(session, XrayRow, [_xray(number, folder_id) for number in numbers])
        scored = chance.sample(numbers, SCORED)
        results = [row for number in scored for row in _results(number, known, chance, chance.random() < referred)]
        _add(session, ResultRow, chance.sample(results, len(results)))
        _add(session, LabelRow, [_label(number, chance) for number in chance.sample(numbers, 300)])
        reader = readers.add_reader(session, "Anna", now=NOW)
        for _ in range(3):
            chosen = [ChosenFilm(number, ListReason.REFER, 1.0, reveal=False) for number in chance.sample(scored, 50)]
            lists.add_list(session, reader, chosen, seed=1, reveal_share=0, guide_sha256=None, now=NOW)
    return known[-1]


def _add(session: Session, table: type[Base], rows: list[dict[str, Any]]) -> None:
    with adding(session, table):
        session.connection().execute(insert(table), rows)


def _xray(number: int, folder_id: int) -> dict[str, Any]:
    kind = {"file_format": FileFormat.PNG, "width": 9, "height": 9, "mode": "L", "scale_rule": ScaleRule.EIGHT_BIT}
    place = {"flags": "", "dhash": "0" * 16, "path": f"{number}.png", "folder_id": folder_id, "first_seen_at": NOW}
    return {"id": number, "sha256": sha256_of(f"film {number}")} | kind | place


def _results(
    number: int, known: Sequence[ModelRecord], chance: random.Random, is_referred: bool
) -> Iterator[dict[str, Any]]:
    """One result, now and then several, and of every fourth film two shadows'."""
    by = chance.sample([(model, f"p{turn}") for model in known for turn in (1, 2)], chance.choice((1, 1, 1, 1, 2, 4)))
    for model, version in (*by, *[(model, "shadow") for model in known[:2]] * (chance.random() < 0.25)):
        far = chance.random() * 0.29
        probability = chance.uniform(0.3, 0.7) if is_referred else chance.choice((far, 1 - far))
        probability = chance.choice(SCORES) if chance.random() < 0.1 else probability
        reason = (
            chance.choice((LIKE_NEITHER, "looks like a hand"))
            if chance.random() < (0.3 if is_referred else 0.005)
            else None
        )
        outcome = Outcome.POSITIVE if chance.random() < probability else Outcome.NEGATIVE
        score = {
            "probability": probability,
            "outcome": Outcome.REFER if is_referred else outcome,
            "refer_reason": reason,
        }
        of = {"xray_id": number, "model_id": model.model_id, "preprocessing_version": version}
        yield of | score | {"scored_at": NOW, "duration_ms": 1.0, "shadow": version == "shadow"}


def _label(number: int, chance: random.Random) -> dict[str, Any]:
    said = {"label": chance.choice((Label.COVID, Label.NORMAL)), "reader": "anna", "import_sha256": "0" * 64}
    return {"xray_id": number, "source": "csv", "imported_at": NOW} | said


def read_all(engine: Engine, champion: ModelRecord, *, with_labelled: bool) -> list[ScoredFilm]:
    """Every scored film as its rows say, read one by one."""
    counts: dict[int, ResultRow] = {}
    shadows: dict[int, Outcome] = {}
    with snapshot(engine) as session:
        for row in session.scalars(select(ResultRow).order_by(ResultRow.id)):
            is_own = row.model_id == champion.model_id
            if row.shadow:
                shadows[row.xray_id] = row.outcome
            elif is_own or counts.get(row.xray_id, row).model_id != champion.model_id:
                counts[row.xray_id] = row
        labels = dict(session.execute(select(LabelRow.xray_id, LabelRow.label)).tuples().all())
        contents = dict(session.execute(select(XrayRow.id, XrayRow.sha256)).tuples().all())
        listed = set(session.scalars(text("SELECT xray_id FROM reading_list_items")))
        return [
            ScoredFilm(
                xray_id,
                contents[xray_id],
                row.probability,
                is_unlike(row.refer_reason),
                shadows.get(xray_id),
                labels.get(xray_id),
                is_held_out=True,
                is_listed=xray_id in listed,
                said_before=None if row.model_id == champion.model_id else row.outcome,
            )
            for xray_id, row in counts.items()
            if with_labelled or xray_id not in labels
        ]
