"""The films of reading lists in a real database."""

from __future__ import annotations

from sqlalchemy import Engine

from db.engine import snapshot, transaction
from db.reading.films import iter_scored_films
from db.scoring import labels, xrays
from tests.db.rows import NOW, add_champion, label_row, score_files, sha256_of
from xray_core.records import Outcome


def test_a_promotion_takes_no_film_off_the_reading_lists(engine: Engine) -> None:
    score_files(engine, add_champion(engine), {"a.png": "A"})
    second = add_champion(engine, "m2")
    score_files(engine, second, {"b.png": "B"})

    with snapshot(engine) as session:
        films = {film.sha256: film.said_before for film in iter_scored_films(session, second.model_id)}

    assert films.keys() == {sha256_of("A"), sha256_of("B")}
    assert isinstance(films[sha256_of("A")], Outcome)
    assert films[sha256_of("B")] is None


def test_without_those_with_a_label_come_the_same_films_and_each_of_them_once(engine: Engine) -> None:
    first = add_champion(engine)
    score_files(engine, first, {"a.png": "A", "b.png": "B", "c.png": "C"})
    second = add_champion(engine, "m2")
    score_files(engine, second, {"d.png": "A", "e.png": "B"})
    with transaction(engine) as session:
        said = [(label_row(content="B"), xray_id) for xray_id in xrays.read_ids(session, [sha256_of("B")]).values()]
        labels.add_labels(session, said, source="csv", import_sha256="0" * 64, now=NOW)

    with snapshot(engine) as session:
        everything = list(iter_scored_films(session, second.model_id))
        waiting = list(iter_scored_films(session, second.model_id, with_labelled=False))

    assert [film.sha256 for film in everything] == [sha256_of(content) for content in "ABC"]
    assert waiting == [film for film in everything if film.label is None]
    assert len(waiting) == 2
