"""A training: its network is recalibrated on the validation side before anything else is chosen or judged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logit

from db.engine import open_engine, snapshot
from db.records import TrainingState
from db.registry import training_runs
from flows.home.ledger import find_anchor
from flows.operations.status import read_status
from flows.registry.models import promote_by_hand, read_history
from flows.registry.registered import open_registered
from flows.settings import Settings
from flows.training.claim import claim_labels, open_trainer
from flows.training.images import read_training_images
from flows.training.steps import Workbench, ask_gate
from flows.training.training import Step, train
from tests.evaluations import read_evaluation
from tests.flows.evidence_home import LIMIT, SETTING, Rival, champion
from tests.networks import SIZE, keep_known_weights
from xray_core.errors import RefusedInput
from xray_core.imaging.records import Remedy
from xray_core.models.folder import read_manifest
from xray_core.models.operating_point import choose_operating_point
from xray_core.models.recalibration import Recalibration, choose_recalibration
from xray_core.networks.fitting import train_network
from xray_core.networks.options import TrainingOptions
from xray_core.networks.records import Augmentation
from xray_core.records import Split
from xray_core.report.study import STUDY_FILE
from xray_core.training.trial import Trial


def test_model_json_holds_the_recalibration_and_what_it_was_chosen_on(trained: Settings) -> None:
    manifest = read_manifest(trained.models_dir / champion(trained).version)

    assert manifest.training["recalibration_chosen_on"] == "validation"
    assert manifest.training["recalibration_xrays"] == manifest.operating_point.positives + (
        manifest.operating_point.negatives
    )
    line = read_line(trained)
    assert line.slope > 0
    gain, error = (float(manifest.training[f"recalibration_{name}"] or 0) for name in ("gain", "gain_error"))
    assert line.is_unchanged == (gain <= 0.5 * error)
    assert error > 0


def read_line(settings: Settings) -> Recalibration:
    facts = read_manifest(settings.models_dir / champion(settings).version).training
    return Recalibration(
        float(facts["recalibration_intercept"] or 0),
        float(facts["recalibration_slope"] or 0),
        int(facts["recalibration_xrays"] or 0),
    )


def test_line_and_thresholds_are_those_of_the_validation_side_and_what_scores_is_recalibrated(
    trained: Settings, tmp_path: Path
) -> None:
    engine = open_engine(trained.url, anchor=find_anchor(trained))
    opened = open_registered(trained, champion(trained))
    images = read_training_images(trained, engine, opened.manifest.preprocessing, lambda _: None)
    engine.dispose()
    train, validation = images.sides[Split.TRAIN], images.sides[Split.VALIDATION]
    line = read_line(trained)

    scores = opened.classifier.predict(validation.images[:]).astype(np.float64)

    # The line undone gives the network's own log-odds; fitted to the validation side again they give the same line.
    own = logit(line.undo(logit(scores)))
    again = choose_recalibration(own, validation.is_covid, validation.groups)
    assert (again.intercept, again.slope) == pytest.approx((line.intercept, line.slope), abs=1e-3)
    point = choose_operating_point(
        scores, validation.is_covid, validation.groups, target_sensitivity=0.9, target_specificity=0.9
    )
    stored = opened.manifest.operating_point
    assert (point.lower, point.upper) == pytest.approx((stored.lower, stored.upper), abs=1e-5)
    assert (stored.chosen_on, stored.sensitivity) == (Split.VALIDATION, point.sensitivity)
    # The same training without the line gives those own log-odds.
    plain = train_network(
        train.images,
        train.is_covid,
        validation.images[:],
        validation.is_covid,
        preprocessing=images.preprocessing,
        options=keep_known_weights(tmp_path),
        on_epoch=lambda _: None,
    )
    inputs = np.repeat(validation.images[:][..., np.newaxis], 3, axis=-1) / 255
    raw = plain.classifier.model.predict(inputs, verbose=0)[:, 0]
    assert logit(raw.astype(np.float64)) == pytest.approx(own, abs=1e-3)


def test_the_evaluation_is_of_the_recalibrated_scores_and_the_card_shows_both(trained: Settings) -> None:
    folder = trained.models_dir / champion(trained).version
    evaluation = read_evaluation((folder / "evaluation.json").read_text())
    brier = evaluation.figures.brier
    assert brier is not None

    section = (folder / "MODEL_CARD.md").read_text().split("## Calibration")[1].split("\n## ")[0]

    row = next(line for line in section.splitlines() if line.startswith("| Brier score"))
    *before, now = (cell.strip() for cell in row.split("|")[2:-2])
    assert now == f"{brier.value:.3f} ({brier.low:.3f} to {brier.high:.3f})"
    assert now not in before
    line = read_line(trained)
    assert bool(before) != line.is_unchanged
    told = (
        "was tried on {} validation X-rays" if line.is_unchanged else "chosen on {} validation X-rays and on no others"
    )
    assert told.format(line.xrays) in section


def test_what_the_team_says_of_its_study_stands_on_the_card(trained: Settings) -> None:
    card = (trained.models_dir / champion(trained).version / "MODEL_CARD.md").read_text()
    limits = card.split("## Limits")[1].split("\n## ")[0]

    assert f"\n* {LIMIT}\n" in limits
    assert f"which hospitals and wards, from which date to which? | {SETTING} |" in card
    assert "who has an interest in the outcome? | unknown |" in card


def test_a_first_model_is_called_instated_by_status_and_history_as_by_its_training(trained: Settings) -> None:
    version = champion(trained).version

    (told,) = [line for line in read_status(trained).lines() if line.startswith("last training: ")]
    (term,) = read_history(trained)

    assert told.startswith(f"last training: {version}, instated: ")
    assert term.reason.startswith("instated: ")


def test_a_mistake_in_the_study_costs_no_training(trained: Settings) -> None:
    (trained.home / STUDY_FILE).write_text("[answers]\nfundng = 'x'\n")

    with pytest.raises(RefusedInput, match=r"study.toml: received the answer 'fundng'; expected setting, "):
        train(trained, TrainingOptions(augmentation=Augmentation.STRONG), trigger="by hand")

    with open_trainer(trained) as trainer, snapshot(trainer.engine) as session:
        runs = training_runs.list_trainings(session)
    assert [run.state for run in runs] == [TrainingState.FINISHED], "no other was begun"


def test_an_imported_model_is_never_recalibrated(settings: Settings) -> None:
    folder = settings.models_dir / champion(settings).version

    facts = json.loads((folder / "model.json").read_bytes())["training"]

    assert facts == {"imported": True, "imported_from": "model.keras", "can_be_trained_further": True}


def test_a_candidate_replaces_no_champion_that_it_was_not_compared_with(rival: Rival) -> None:
    home = rival.settings
    options = TrainingOptions(epochs=1, input_size=SIZE, remedies=(Remedy.EQUALIZE,))

    def take_while_somebody_promotes(step: Step, bench: Workbench, trial: Trial) -> Trial:
        if step is ask_gate:
            promote_by_hand(home, rival.candidate, "better at night")
        return step(bench, trial)

    with pytest.raises(RefusedInput, match="another model became champion"):
        train(home, options, trigger="by hand", take=take_while_somebody_promotes)

    assert champion(home).version == rival.candidate
    with open_trainer(home) as trainer:
        assert claim_labels(trainer, options, trigger="by hand") is not None
