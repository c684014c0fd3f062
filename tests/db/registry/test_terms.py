from __future__ import annotations

import uuid
from datetime import timedelta

from sqlalchemy import Engine, insert, text

from db.engine import snapshot, transaction
from db.registry import terms
from db.scoring.tables import ResultRow
from db.sealing import adding
from tests.db.rows import NOW, add_champion, add_model, promote, score_files
from xray_core.records import Outcome

HOUR = timedelta(hours=1)
# Term after term, each with a look at all results.
PLAINLY = text(
    "SELECT (SELECT count(*) FROM results r WHERE NOT r.shadow AND r.model_id = t.model_id AND r.scored_at >= t.since "
    "AND (t.until IS NULL OR r.scored_at < t.until)) FROM champion_terms t ORDER BY t.id"
)


def result_row(number: int) -> dict[str, object]:
    """The first model is champion for hours 0 to 99 and from 200 on, the second between; ten results an hour."""
    model_id = 2 if 1000 <= number < 2000 else 1
    in_between = 2500 <= number < 3500
    return {
        "id": number,
        "xray_id": 1,
        "model_id": 3 - model_id if in_between and number % 7 == 0 else model_id,
        "preprocessing_version": f"p{number}",
        "probability": 0.5,
        "outcome": Outcome.REFER,
        "scored_at": NOW + number * HOUR / 10,
        "flow_run_id": str(uuid.UUID(int=number)),
        "duration_ms": 1.0,
        "shadow": in_between and number % 5 == 0,
    }


def test_every_result_is_counted_in_its_term_wherever_it_stands(engine: Engine) -> None:
    """Thousands of one term and of two, results of no term and shadows among them, and numbers that nothing has."""
    score_files(engine, add_champion(engine), {"a.png": "A"}, now=NOW)
    with transaction(engine) as session:
        second = add_model(session, "other")
        promote(session, second.version, now=NOW + 100 * HOUR)
    with transaction(engine) as session:
        promote(session, "m1", now=NOW + 200 * HOUR)
        for numbers in (range(2, 4_301), range(7_200, 7_801)):
            with adding(session, ResultRow):
                session.connection().execute(insert(ResultRow), [result_row(number) for number in numbers])

    with snapshot(engine) as session:
        counts = [term.xrays_scored for term in terms.history(session)]
        plainly = list(session.execute(PLAINLY).scalars())

    assert counts == plainly
    assert counts[:2] == [999, 1000]
    assert 2_000 < counts[2] < 2_902


def test_terms_without_a_result_have_scored_nothing(engine: Engine) -> None:
    add_champion(engine)

    with snapshot(engine) as session:
        assert [term.xrays_scored for term in terms.history(session)] == [0]
