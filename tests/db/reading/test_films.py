"""The films of reading lists in a real database."""

from __future__ import annotations

from sqlalchemy import Engine

from db.engine import snapshot
from db.reading.films import iter_scored_films
from tests.db.rows import add_champion, score_files, sha256_of
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
