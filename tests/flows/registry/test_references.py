"""What a model refers as no chest film, and what it says where it cannot tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from db.engine import open_engine, snapshot
from db.records import Stage
from flows.home.ledger import find_anchor, prepare_ledger
from flows.operations.drift import check_drift_of_champion
from flows.operations.file_story import explain
from flows.operations.status import read_status
from flows.operations.verification import find_breach
from flows.registry.foreign_import import ImportedModel
from flows.registry.models import promote_by_hand
from flows.registry.standing import NO_REFERENCE, read_caution
from flows.review.exports import describe_champion
from flows.settings import Settings
from tests.flows.evidence_home import champion, deliver, import_again, scan
from xray_core.errors import InvalidDataset
from xray_core.models.folder import read_manifest
from xray_core.records import Label
from xray_core.synthetic.xrays import write_sample_set


def import_untrained(settings: Settings, *, reference: Path | None = None) -> ImportedModel:
    return import_again(settings, "ours", says=Label.NORMAL, reference=reference)


def deliver_noise(settings: Settings) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8)
    Image.fromarray(noise).save(settings.incoming_dir / "noise.png")


def test_a_picture_that_is_no_chest_film_is_referred_and_why_says_so(trained: Settings) -> None:
    deliver(trained)
    deliver_noise(trained)

    scan(trained)

    told = " ".join(explain(trained, Path("noise.png")).lines)
    assert "refer by model" in told
    assert "unlike the chest X-rays that the model was trained on: distance" in told


def test_ordinary_films_keep_their_outcome_and_their_distance_is_stored(trained: Settings) -> None:
    deliver(trained, per_class=10)

    scan(trained)

    engine = open_engine(trained.url, anchor=find_anchor(trained))
    with snapshot(engine) as session:
        rows = session.connection().exec_driver_sql("SELECT distance, refer_reason FROM results").all()
    engine.dispose()
    assert len(rows) == 20
    assert all(distance > 0 for distance, _ in rows)
    assert sum(reason is not None for _, reason in rows) <= 2


def test_a_trained_model_registers_its_references_among_its_files(trained: Settings) -> None:
    manifest = read_manifest(trained.models_dir / champion(trained).version)

    assert {"chest_reference.npz", "drift_reference.json"} <= manifest.files.keys()
    assert champion(trained).stage is Stage.CHAMPION


def test_a_film_that_arrives_upside_down_is_referred_and_why_says_how_it_lies(trained: Settings) -> None:
    deliver(trained, per_class=5)
    for path in sorted(trained.incoming_dir.iterdir()):
        with Image.open(path) as picture:
            turned = picture.transpose(Image.Transpose.ROTATE_180)
        path.unlink()
        turned.save(path.with_suffix(".png"))

    outcomes = scan(trained)

    assert outcomes.get("refer", 0) >= 9
    told = " ".join(explain(trained, min(trained.incoming_dir.iterdir())).lines)
    assert "referred because it looks turned: turned by 180 degrees it is as near to a chest X-ray" in told


def test_an_imported_model_without_a_reference_says_everywhere_that_it_refers_nothing(
    trained: Settings,
) -> None:
    imported = import_untrained(trained)
    promote_by_hand(trained, imported.version, "to see what it says")
    deliver_noise(trained)

    outcomes = scan(trained)

    assert sum(outcomes.values()) == 1
    assert NO_REFERENCE in imported.notes[-1]
    assert NO_REFERENCE in read_status(trained).lines()[0]
    assert NO_REFERENCE in (read_caution(trained) or "")
    engine = open_engine(trained.url, anchor=find_anchor(trained))
    with snapshot(engine) as session:
        assert describe_champion(session, trained)["out_of_distribution"] == NO_REFERENCE
    engine.dispose()
    assert "it refers nothing as out of distribution" in " ".join(explain(trained, Path("noise.png")).lines)
    card = (trained.models_dir / imported.version / "MODEL_CARD.md").read_text()
    assert "NOT referred: its training films are not known" in card


def test_an_imported_model_with_a_reference_refers_what_is_unlike_it(trained: Settings, trained_once: Path) -> None:
    imported = import_untrained(trained, reference=trained_once / "dataset")
    promote_by_hand(trained, imported.version, "to see what it says")
    deliver(trained)
    deliver_noise(trained)

    scan(trained)

    assert "120 X-rays of 120 patients" in imported.notes[-1]
    assert "unlike the chest X-rays" in " ".join(explain(trained, Path("noise.png")).lines)
    assert NO_REFERENCE not in read_status(trained).lines()[0]
    card = (trained.models_dir / imported.version / "MODEL_CARD.md").read_text()
    assert "referred to a reader whatever their score" in card
    assert find_breach(trained)[0] is None


@pytest.mark.slow
def test_with_a_reference_drift_of_the_pictures_can_be_told_and_that_of_the_scores_is_not_asked(
    trained: Settings, trained_once: Path
) -> None:
    imported = import_untrained(trained, reference=trained_once / "dataset")
    promote_by_hand(trained, imported.version, "to see what it says")
    deliver(trained, per_class=30)
    scan(trained)

    drift = check_drift_of_champion(trained)

    names = {shift.name for shift in drift.figures}
    assert "mean grey level" in names
    assert "distance from a chest film" in names
    assert "P(covid)" not in names


def test_too_small_a_reference_is_refused_and_nothing_is_imported(trained: Settings, tmp_path: Path) -> None:
    write_sample_set(tmp_path / "few", per_class=8, patients=8, seed=4)
    before = sorted(path.name for path in trained.models_dir.iterdir())

    with pytest.raises(InvalidDataset, match="received 16 readable X-rays of 16 patients"):
        import_untrained(trained, reference=tmp_path / "few")

    assert sorted(path.name for path in trained.models_dir.iterdir()) == before


def test_a_champion_whose_folder_is_gone_says_that_it_cannot_be_told(trained: Settings) -> None:
    (trained.models_dir / champion(trained).version).rename(trained.home / "elsewhere")

    lines = read_status(trained).lines()

    assert "whether it refers other pictures than chest films cannot be told" in lines[0]


def test_a_home_without_a_champion_has_no_blind_spot_to_speak_of(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    prepare_ledger(settings)

    assert read_caution(settings) is None
    assert read_status(settings).blind_spot is None
