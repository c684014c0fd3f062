"""A team's own model joins, is promoted past the gate with a reason, and can be rolled back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from db.records import Stage
from flows.operations.verification import find_breach
from flows.registry.foreign_import import import_model
from flows.registry.models import describe_model, list_models, promote_by_hand, read_history, roll_back
from flows.registry.registered import open_registered
from flows.settings import Settings
from tests.flows.evidence_home import import_again
from tests.flows.scoring.test_scan import drop_xrays, read_lines, scan
from xray_core.errors import ModelAltered, NoChampion, RefusedInput
from xray_core.imaging.network_input import fit_pixels
from xray_core.networks.quiet_keras import keras
from xray_core.records import Label

pytestmark = pytest.mark.keras

SIZE = 64


def save_network(path: Path, *, units: int, seed: int = 3) -> keras.Model:
    """A small network of its own kind that scales by itself: a sigmoid, or two softmax outputs."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(units, activation="sigmoid" if units == 1 else "softmax"),
        ]
    )
    model.save(path)
    return model


@pytest.fixture
def two_models(settings: Settings) -> tuple[Settings, str, str]:
    """Today's champion and a candidate beside it, which says the opposite."""
    (champion,) = list_models(settings)
    return settings, champion.version, import_again(settings, "ours", says=Label.NORMAL).version


@pytest.mark.parametrize(
    ("units", "positive_output", "column", "turned"),
    [
        pytest.param(1, Label.COVID, 0, False, marks=pytest.mark.slow),
        (1, Label.NORMAL, 0, True),
        pytest.param(2, Label.COVID, 1, False, marks=pytest.mark.slow),
        pytest.param(2, Label.NORMAL, 0, False, marks=pytest.mark.slow),
    ],
)
def test_an_imported_model_says_here_what_keras_says(
    empty_settings: Settings, tmp_path: Path, units: int, positive_output: Label, column: int, turned: bool
) -> None:
    model = save_network(tmp_path / "ours.keras", units=units)
    paths = drop_xrays(empty_settings.incoming_dir, 6)

    path = tmp_path / "ours.keras"
    import_model(empty_settings, path, positive_output=positive_output, scaling=None, input_size=None, name="ours")
    scan(empty_settings)

    (registered,) = list_models(empty_settings)
    preprocessing = open_registered(empty_settings, registered).manifest.preprocessing
    greys = np.stack([fit_pixels(np.asarray(Image.open(path)), preprocessing) for path in paths])
    said = model.predict(np.repeat(greys[..., np.newaxis], 3, axis=-1).astype(np.float32), verbose=0)[:, column]
    expected = 1 - said if turned else said
    lines = read_lines(empty_settings)
    found = np.array([lines[path.name].probability_covid for path in paths])
    assert np.abs(found - expected).max() < 1e-5
    assert np.ptp(found) > 0


def test_the_first_model_is_champion_but_unproven_and_the_next_a_candidate(
    two_models: tuple[Settings, str, str],
) -> None:
    settings, champion, candidate = two_models

    stages = {model.version: (model.stage, model.proven) for model in list_models(settings)}

    assert stages == {champion: (Stage.CHAMPION, False), candidate: (Stage.CANDIDATE, False)}


def test_a_promotion_past_the_gate_needs_a_reason(two_models: tuple[Settings, str, str]) -> None:
    settings, champion, candidate = two_models

    with pytest.raises(RefusedInput, match="--reason"):
        promote_by_hand(settings, candidate, "  ")

    assert read_history(settings)[-1].version == champion


def test_a_promoted_model_scores_the_next_scan_and_a_rollback_undoes_it(two_models: tuple[Settings, str, str]) -> None:
    settings, champion, candidate = two_models
    promote_by_hand(settings, candidate, "agreed by the readers")
    drop_xrays(settings.incoming_dir, 2)
    scan(settings)

    back = roll_back(settings, "it calls everything positive")

    assert {line.model_version for line in read_lines(settings).values()} <= {candidate, None}
    assert back == champion
    terms = read_history(settings)
    assert [term.version for term in terms] == [champion, candidate, champion]
    assert [term.xrays_scored for term in terms][1] == 2
    assert "override: agreed by the readers" in terms[1].reason
    assert terms[2].reason.startswith("rollback: it calls")
    assert terms[1].until == terms[2].since
    assert terms[2].until is None
    assert find_breach(settings)[0] is None


def test_without_an_earlier_champion_there_is_nothing_to_go_back_to(settings: Settings) -> None:
    with pytest.raises(NoChampion, match="no earlier champion"):
        roll_back(settings, "why not")


def test_an_altered_model_is_never_promoted(two_models: tuple[Settings, str, str]) -> None:
    settings, champion, candidate = two_models
    file = settings.models_dir / candidate / "model.onnx"
    file.chmod(0o600)
    file.write_bytes(file.read_bytes() + b"x")

    with pytest.raises(ModelAltered):
        promote_by_hand(settings, candidate, "in a hurry")

    assert read_history(settings)[-1].version == champion


def test_an_unknown_version_is_refused_by_name(settings: Settings) -> None:
    with pytest.raises(RefusedInput, match="0099-nobody"):
        describe_model(settings, "0099-nobody")
