"""Drift of what came in against what the champion was trained on."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from flows.operations.drift import check_drift_of_champion
from flows.settings import Settings
from flows.training.due import read_due
from tests.flows.evidence_home import deliver, scan, stored
from xray_core.synthetic.xrays import write_sample_set


def test_films_like_the_training_have_not_drifted(trained: Settings) -> None:
    deliver(trained, per_class=40, seed=6)
    scan(trained)

    drift = check_drift_of_champion(trained)

    assert not drift.moved
    assert "Nothing has moved" in drift.sentence
    assert stored(trained)[-1].set_name == "drift"


def test_darker_films_have_drifted_and_then_fewer_labels_retrain(trained: Settings, tmp_path: Path) -> None:
    write_sample_set(tmp_path / "films", per_class=20, patients=20, seed=6, layout="flat")
    for path in (tmp_path / "films").iterdir():
        with Image.open(path) as picture:
            darker = picture.convert("L").point(lambda level: level * 0.5)
        darker.save((trained.incoming_dir / path.name).with_suffix(".png"))
    scan(trained)

    drift = check_drift_of_champion(trained)

    assert drift.moved
    assert "mean grey level" in drift.sentence
    assert "10 wanted because the incoming X-rays or the scores have moved" in read_due(trained).reason


def test_with_too_few_films_nothing_is_said_to_have_moved(trained: Settings) -> None:
    drift = check_drift_of_champion(trained)

    assert not drift.moved
    assert drift.sentence.startswith("Too few X-rays to tell")


def test_of_a_model_from_elsewhere_drift_cannot_be_told(settings: Settings) -> None:
    drift = check_drift_of_champion(settings)

    assert not drift.moved
    assert "cannot be told" in drift.sentence
