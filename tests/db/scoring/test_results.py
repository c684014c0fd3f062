from __future__ import annotations

import resource
import time
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from db import sealing
from db.engine import snapshot, transaction
from db.scoring import results
from db.scoring.tables import IncomingFileRow
from tests.db.rows import (
    NOW,
    add_champion,
    add_model,
    claim,
    file_seen,
    import_labels,
    label_row,
    promote,
    record,
    refused_file,
    score_files,
    scored_file,
    sha256_of,
)
from tests.db.scoring.test_incoming_files import decided_row
from tests.db.test_audit import tamper
from xray_core.exchange.records import ResultLine
from xray_core.records import FileState, Label, Outcome, ReasonCode


def lines(engine: Engine, **options: object) -> list[ResultLine]:
    with snapshot(engine) as session:
        return list(results.iter_result_lines(session, **options))  # type: ignore[arg-type]


def test_every_file_that_was_decided_has_one_line_in_order_of_its_bytes(engine: Engine) -> None:
    model = add_champion(engine)
    score_files(engine, model, {"b.png": "B", "Z.png": "Z", "é.png": "E"}, patient="p1")
    rejected, deferred, _ = claim(engine, "a.png", "c.png", "not decided.png")
    record(
        engine,
        refused=[
            refused_file(rejected.file_id, ReasonCode.CORRUPT_IMAGE),
            refused_file(deferred.file_id, ReasonCode.TRUNCATED, retry_at=NOW + timedelta(hours=1)),
        ],
    )

    found = lines(engine)

    assert [(line.file, line.state) for line in found] == [
        ("Z.png", FileState.SCORED),
        ("a.png", FileState.REJECTED),
        ("b.png", FileState.SCORED),
        ("c.png", FileState.DEFERRED),
        ("é.png", FileState.SCORED),
    ]
    assert found[0] == ResultLine(
        "Z.png", sha256_of("Z"), "p1", Outcome.POSITIVE, 0.9, "m1", NOW, FileState.SCORED, None, None, None, None
    )
    assert (found[1].reason_code, found[1].probability_covid) == (ReasonCode.CORRUPT_IMAGE, None)


def test_the_champions_result_shows_and_the_newest_where_it_has_none(engine: Engine) -> None:
    first = add_champion(engine, "m1")
    score_files(engine, first, {"a.png": "A", "b.png": "B"})
    with transaction(engine) as session:
        second = add_model(session, "m2")
        promote(session, "m2")
    (file,) = claim(engine, file_seen("a.png", size=200))
    record(engine, scored=[scored_file(file.file_id, "A", 0.2)], model=second)

    assert [(line.file, line.model_version, line.probability_covid) for line in lines(engine)] == [
        ("a.png", "m2", 0.2),
        ("b.png", "m1", 0.9),
    ]

    with transaction(engine) as session:
        promote(session, "m1")

    assert [line.model_version for line in lines(engine)] == ["m1", "m1"]


def test_a_shadow_result_never_shows(engine: Engine) -> None:
    champion = add_champion(engine)
    score_files(engine, champion, {"a.png": "A"})
    with transaction(engine) as session:
        candidate = add_model(session, "m2")
        results.add_results(
            session,
            [(1, scored_file(1, "A", 0.01))],
            model_id=candidate.model_id,
            preprocessing_version=candidate.preprocessing_version,
            flow_run_id=None,
            now=NOW,
            shadow=True,
        )

    assert [line.probability_covid for line in lines(engine)] == [0.9]


def test_the_latest_label_stands_beside_the_result(engine: Engine) -> None:
    model = add_champion(engine)
    score_files(engine, model, {"a.png": "A"})
    import_labels(engine, label_row("a.png", Label.COVID, reader="r1"))
    import_labels(engine, label_row("a.png", Label.NORMAL, reader="r2"))

    (line,) = lines(engine)

    assert (line.label, line.labelled_by) == (Label.NORMAL, "r2")


def test_lines_since_a_time_leave_out_what_was_decided_before(engine: Engine) -> None:
    model = add_champion(engine)
    score_files(engine, model, {"a.png": "A"})
    score_files(engine, model, {"b.png": "B"}, now=NOW + timedelta(hours=1))

    assert [line.file for line in lines(engine, since=NOW + timedelta(minutes=1))] == ["b.png"]


def test_a_result_that_exists_is_never_overwritten(engine: Engine) -> None:
    model = add_champion(engine)
    score_files(engine, model, {"a.png": "A"})
    (file,) = claim(engine, "b.png")

    record(engine, scored=[scored_file(file.file_id, "A", 0.1)], model=model)

    assert [line.probability_covid for line in lines(engine)] == [0.9, 0.9]
    assert seal(engine) is None


def seal(engine: Engine) -> str | None:
    with snapshot(engine) as session:
        return next(sealing.find_broken_seals(session), None)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE results SET probability = 0.1 WHERE id = 2", "results 1 to 3: changed"),
        ("UPDATE results SET outcome = 'negative' WHERE id = 3", "results 1 to 3: changed"),
        ("DELETE FROM results WHERE id = 1", "results 1 to 3: changed"),
        (
            "INSERT INTO results SELECT 9, xray_id, model_id, 'v9', probability, outcome, refer_reason, distance, "
            "scored_at, flow_run_id, duration_ms, shadow, study, image FROM results WHERE id = 1",
            "results 1 to 9: changed since they were written (4 rows are there, 3 were sealed)",
        ),
    ],
)
def test_a_result_that_was_changed_in_the_file_is_found(
    engine: Engine, sqlite_only: None, change: str, found: str
) -> None:
    model = add_champion(engine)
    score_files(engine, model, {"a.png": "A", "b.png": "B"})
    score_files(engine, model, {"c.png": "C"})
    assert seal(engine) is None

    tamper(engine, change)

    assert str(seal(engine)).startswith(found)


@pytest.mark.slow
def test_two_hundred_thousand_lines_are_read_in_flat_memory(engine: Engine) -> None:
    with transaction(engine) as session:
        for start in range(0, 200_000, 50_000):
            rows = [decided_row(number) for number in range(start, start + 50_000)]
            session.connection().execute(IncomingFileRow.__table__.insert(), rows)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    with snapshot(engine) as session:
        count = sum(1 for _ in results.iter_result_lines(session))
    print(f"200,000 lines: {time.perf_counter() - started:.1f} s")

    assert count == 200_000
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 40
