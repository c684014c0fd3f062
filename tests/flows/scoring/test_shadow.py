"""The shadow scores beside the champion, is marked, and never leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.engine import open_engine, snapshot
from flows.home.ledger import find_anchor
from flows.operations.verification import find_breach
from flows.review.exports import write_export
from flows.settings import Settings
from tests.flows.evidence_home import Rival, add_candidate, deliver, scan
from tests.networks import SIZE


@pytest.mark.parametrize("size", [pytest.param(SIZE, marks=pytest.mark.slow), SIZE + 8])
def test_a_shadow_scores_what_the_champion_scores_and_never_leaves(
    trained: Settings, tmp_path: Path, size: int
) -> None:
    second = add_candidate(trained, tmp_path, size=size)
    deliver(trained)

    scan(trained.but({"shadow": True}))

    engine = open_engine(trained.url, anchor=find_anchor(trained))
    with snapshot(engine) as session:
        counted = session.connection().exec_driver_sql("SELECT shadow, count(*) FROM results GROUP BY 1").all()
    engine.dispose()
    assert [tuple(row) for row in counted] == [(0, 16), (1, 16)]
    summary = write_export(trained, out=tmp_path / "out.csv")
    assert second not in summary.path.read_text()
    assert find_breach(trained)[0] is None


def test_a_damaged_shadow_never_stops_the_champion(rival: Rival) -> None:
    trained, second = rival.settings, rival.candidate
    path = trained.models_dir / second / "model.onnx"
    path.chmod(0o600)
    path.write_bytes(b"damaged")
    deliver(trained)

    outcomes = scan(trained.but({"shadow": True}))

    assert sum(outcomes.values()) == 16


def test_without_the_setting_nobody_stands_in_the_shadow(rival: Rival) -> None:
    trained = rival.settings
    deliver(trained, per_class=2)

    scan(trained)

    engine = open_engine(trained.url, anchor=find_anchor(trained))
    with snapshot(engine) as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM results WHERE shadow").scalar() == 0
    engine.dispose()
