"""Two models on the X-rays that came in: which ones change outcome."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from db.engine import open_engine, snapshot
from db.registry import models
from db.scoring import results
from flows.evaluation.compare import compare_models
from flows.home.ledger import find_anchor
from flows.settings import Settings
from tests.flows.evidence_home import Rival, champion, deliver, scan
from tests.flows.registry.test_standing import judge
from xray_core.errors import RefusedInput
from xray_core.records import AuditVerdict, Outcome


def test_two_models_are_compared_on_what_came_in_and_nothing_is_stored(rival: Rival) -> None:
    trained, second = rival.settings, rival.candidate
    deliver(trained)
    scan(trained)

    report = compare_models(trained, champion(trained).version, second)

    assert (len(report.compared), report.unread) == (16, 0)
    engine = open_engine(trained.url, anchor=find_anchor(trained))
    with snapshot(engine) as session:
        model = models.find_model(session, second)
        assert model is not None
        assert results.read_scores(session, model.model_id, model.preprocessing_version) == {}
    engine.dispose()


def test_a_model_compared_with_itself_flips_nothing(trained: Settings) -> None:
    deliver(trained)
    scan(trained)
    version = champion(trained).version

    assert compare_models(trained, version, version).flips == ()


def test_what_was_referred_only_while_the_champion_was_confounded_is_compared_by_its_thresholds(rival: Rival) -> None:
    judge(rival.settings, AuditVerdict.CONFOUNDED)
    deliver(rival.settings)
    assert scan(rival.settings) == {"refer": 16}

    report = compare_models(rival.settings, champion(rival.settings).version, rival.candidate)

    assert {xray.outcome_a for xray in report.compared} - {Outcome.REFER}


def test_without_a_scored_xray_there_is_nothing_to_compare_on(rival: Rival) -> None:
    trained, second = rival.settings, rival.candidate

    with pytest.raises(RefusedInput, match="no X-ray was scored yet"):
        compare_models(trained, champion(trained).version, second)


def test_the_flip_csv_of_two_models_reads_back(rival: Rival, tmp_path: Path) -> None:
    trained, second = rival.settings, rival.candidate
    from xray_core.evaluation.flip_report import write_flips_csv

    deliver(trained)
    scan(trained)
    report = compare_models(trained, champion(trained).version, second)

    written = write_flips_csv(tmp_path / "flips.csv", report)

    rows = list(csv.DictReader((tmp_path / "flips.csv").read_text().splitlines()))
    assert len(rows) == written == len(report.flips)
    assert all(row["outcome_a"] != row["outcome_b"] for row in rows)
    assert {row["outcome_a"] for row in rows} <= {outcome.value for outcome in Outcome}
