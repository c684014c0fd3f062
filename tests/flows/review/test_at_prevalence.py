"""A probability at the stated prevalence: in the CSV, in a file's story and on the page, or empty with its reason."""

from __future__ import annotations

import csv
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from db.engine import open_engine, snapshot, transaction
from db.registry import models
from db.scoring import decided
from flows.home.ledger import find_anchor
from flows.operations.file_story import explain
from flows.reading.results import make_card
from flows.registry.at_prevalence import AtPrevalence, read_at_prevalence
from flows.registry.withheld import read_withheld
from flows.review.exports import write_export
from flows.settings import Settings
from tests.flows.evidence_home import champion, deliver, scan
from xray_core.models.prevalence import move_to_prevalence
from xray_core.records import AuditVerdict


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def set_verdict(settings: Settings, verdict: AuditVerdict) -> None:
    engine, version = open_engine(settings.url, anchor=find_anchor(settings)), champion(settings).version
    with transaction(engine) as session:
        models.record_audit(session, version, proven=True, audit_verdict=verdict, actor="a test", now=datetime.now(UTC))
    engine.dispose()


@pytest.mark.keras
def test_it_stands_in_the_csv_in_the_story_and_on_the_page_and_the_manifest_names_mix_and_prevalence(
    trained: Settings, tmp_path: Path
) -> None:
    deliver(trained, per_class=2)
    scan(trained)
    set_verdict(trained, AuditVerdict.CLEAN)

    summary = write_export(trained.but({"prevalence": 0.02}), out=tmp_path / "results.csv")

    rows = read_rows(summary.path)
    assert len(rows) == 4
    for row in rows:
        expected = move_to_prevalence(float(row["probability_covid"]), 0.5, 0.02)
        assert float(row["probability_at_prevalence"]) == pytest.approx(float(expected), abs=1e-6)
    notes = json.loads(summary.manifest.read_text())["notes"]
    assert notes["assumed_prevalence"] == "0.02"
    assert "50% of the X-rays are covid" in notes["probability_covid"]
    assert "at least 90% of new covid X-rays are not called negative" in notes["threshold_promise"]
    told = explain(trained, Path(rows[0]["file"])).lines
    assert "where 50% are covid" in told[1]
    assert re.search(r"; 0\.\d{2,6} where 10% are assumed to be covid\)", told[1])
    engine = open_engine(trained.url, anchor=find_anchor(trained))
    with snapshot(engine) as session:
        (row_of_page, *_), _ = decided.list_decided(session)
        card = make_card(row_of_page, read_at_prevalence(session, trained), read_withheld(session, trained))
    engine.dispose()
    assert card.at_prevalence is not None
    assert card.at_prevalence.endswith(" where 10% are assumed to be covid")


@pytest.mark.parametrize(
    ("probability", "prevalence", "words"),
    [
        (0.7093, 0.1, "0.21 where 10% are assumed to be covid"),
        (0.0072, 0.1, "0.0008 where 10% are assumed to be covid"),
        (0.5, 0.005, "0.005 where 0.5% are assumed to be covid"),
        (0.9992, 0.5, "0.9992 where 50% are assumed to be covid"),
        (1e-5, 0.1, "0.000001 where 10% are assumed to be covid"),
        (0.0, 0.1, "0.00 where 10% are assumed to be covid"),
    ],
)
def test_people_read_two_places_or_as_many_as_tell_it_from_0_and_1(
    probability: float, prevalence: float, words: str
) -> None:
    assert AtPrevalence(prevalence, lambda _: 0.5).say("0001-seed_cnn", probability) == words


@pytest.mark.keras
def test_it_is_empty_while_the_audit_is_confounded(trained: Settings, tmp_path: Path) -> None:
    deliver(trained, per_class=1)
    scan(trained)
    set_verdict(trained, AuditVerdict.CONFOUNDED)

    rows = read_rows(write_export(trained, out=tmp_path / "results.csv").path)

    assert [row["probability_at_prevalence"] for row in rows] == ["", ""]
    assert all(row["probability_covid"] for row in rows)


def test_it_is_empty_for_a_model_whose_mix_nobody_knows(settings: Settings, tmp_path: Path) -> None:
    deliver(settings, per_class=1)
    scan(settings)

    summary = write_export(settings, out=tmp_path / "results.csv")

    assert [row["probability_at_prevalence"] for row in read_rows(summary.path)] == ["", ""]
    assert "nobody knows" in json.loads(summary.manifest.read_text())["notes"]["probability_covid"]
