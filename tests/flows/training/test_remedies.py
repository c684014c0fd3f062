"""Remedies: words for people, part of a training and of its preprocessing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from db.records import Stage
from flows.registry.models import find_model
from flows.settings import Settings
from flows.training.claim import claim_labels, open_trainer
from flows.training.remedies import parse_remedies, read_taken_over
from flows.training.training import train
from tests.networks import SIZE, keep_known_weights
from xray_core.errors import RefusedInput
from xray_core.imaging.records import Remedy
from xray_core.models.folder import read_manifest
from xray_core.networks.options import TrainingOptions
from xray_core.networks.records import Augmentation
from xray_core.promotion.policy import Modifications, RetrainingAugmentation, RetrainingPolicy
from xray_core.records import Verdict
from xray_core.training.reproduction.recipe import read_recipe


def test_remedies_are_words_and_a_wrong_one_is_refused_naming_the_right_ones() -> None:
    assert parse_remedies(["erase-border", "clahe"]) == ((Remedy.CLAHE,), True)

    with pytest.raises(RefusedInput, match="expected one of lung-crop, equalize, clahe, mask-markers, erase-border"):
        parse_remedies(["magic"])


def test_other_remedies_make_another_training_of_the_same_labels(trained: Settings) -> None:
    equalized = TrainingOptions(remedies=(Remedy.EQUALIZE,))

    with open_trainer(trained) as trainer:
        assert claim_labels(trainer, TrainingOptions(epochs=1), trigger="by hand") is None
        assert claim_labels(trainer, equalized, trigger="by hand") is not None
        assert claim_labels(trainer, equalized, trigger="by hand") is None


def test_a_remedy_is_part_of_the_preprocessing_that_training_and_scoring_share() -> None:
    options = TrainingOptions(remedies=(Remedy.MASK_MARKERS, Remedy.LUNG_CROP), input_size=SIZE)

    assert options.preprocessing.remedies == ("lung-crop", "mask-markers")
    assert options.preprocessing.version == "v2-48x48x3-unit-lung-crop-mask-markers"


def test_a_retraining_takes_over_the_remedies_of_the_champion(trained: Settings) -> None:
    taken_over = read_taken_over(trained, RetrainingPolicy())

    assert (taken_over.remedies, taken_over.erase_border, taken_over.augmented) == ((), False, Augmentation.TUTORIAL)


def test_the_policy_may_name_the_augmentation_of_retrainings(trained: Settings) -> None:
    policy = RetrainingPolicy(Modifications(augmentation=RetrainingAugmentation.STRONG))

    assert read_taken_over(trained, policy).augmented is Augmentation.STRONG


def test_another_augmentation_makes_another_training_of_the_same_labels(trained: Settings) -> None:
    strong = TrainingOptions(augmentation=Augmentation.STRONG)

    with open_trainer(trained) as trainer:
        assert claim_labels(trainer, TrainingOptions(augmentation=Augmentation.TUTORIAL), trigger="by hand") is None
        assert claim_labels(trainer, strong, trigger="by hand") is not None
        assert claim_labels(trainer, strong, trigger="by hand") is None


def test_a_remedied_model_that_cannot_be_judged_yet_stays_a_candidate_with_its_remedy_recorded(
    trained: Settings, tmp_path: Path
) -> None:
    options = replace(
        keep_known_weights(tmp_path), remedies=(Remedy.EQUALIZE,), augmentation=Augmentation.STRONG, epochs=1
    )

    trial = train(trained, options, trigger="by hand")

    assert trial is not None
    concluded = trial.conclusion
    assert concluded.verdict is Verdict.INSUFFICIENT_EVIDENCE, concluded.reason
    assert find_model(trained, concluded.version).stage is Stage.CANDIDATE
    manifest = read_manifest(trained.models_dir / concluded.version)
    assert manifest.preprocessing.remedies == ("equalize",)
    assert manifest.training["augmentation"] == "strong"
    assert (manifest.training["gamma"], manifest.training["scale"]) == ("0.5 to 2", "0.6 to 1.15")
    card = (trained.models_dir / concluded.version / "MODEL_CARD.md").read_text()
    assert "| augmentation | strong |" in card
    assert "| inverted regions | 2 |" in card
    recipe = read_recipe(trained.models_dir / concluded.version)
    assert (recipe.options.augmentation, recipe.options.remedies) == (Augmentation.STRONG, (Remedy.EQUALIZE,))
    probes = {finding.name for finding in trial.judgement.audit.findings}
    assert {"border", "border before the remedies", "brightness before the remedies"} <= probes
