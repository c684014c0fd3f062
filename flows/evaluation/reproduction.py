"""A model trained again from what its folder keeps, beside the model of then: nothing in the ledger moves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from db.engine import snapshot
from db.reading.labelled import read_labelled
from flows.home.code_revision import read_code_revision
from flows.home.films import make_locator
from flows.home.folders import refuse_output
from flows.home.ledger import open_ledger
from flows.registry.models import find_model
from flows.registry.registered import verify_registered
from flows.settings import Settings
from xray_core.errors import InvalidDataset, RefusedInput
from xray_core.imaging.content import hash_file
from xray_core.imaging.records import Preprocessing
from xray_core.models.folder import KERAS_FILE, files_below
from xray_core.models.records import ModelManifest
from xray_core.networks.fitting import Trained
from xray_core.networks.keras_classifier import KerasClassifier, load_untrusted_keras, save_keras
from xray_core.networks.options import TrainingOptions
from xray_core.networks.quiet_keras import load_beside
from xray_core.networks.records import EpochRecord
from xray_core.processes.decoding import Decoded
from xray_core.processes.fork_server import start_fork_server
from xray_core.processes.reading import Advance, read_xrays
from xray_core.processes.resources import keep_freed_memory
from xray_core.promotion.policy import LabelRules
from xray_core.records import LabelledXray, Split
from xray_core.training.fit import fit, recalibrate
from xray_core.training.images import Side, join_sides, stack_side
from xray_core.training.reproduction.circumstances import find_differences, read_circumstances
from xray_core.training.reproduction.likeness import Likeness, measure_likeness
from xray_core.training.reproduction.recipe import (
    RECIPE_FILE,
    TRAINING_SET_FILE,
    Recipe,
    SetFilm,
    read_recipe,
    read_training_set,
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What the folder of a model keeps of its training, and the options to train it with again."""

    folder: Path
    manifest: ModelManifest
    recipe: Recipe
    films: list[SetFilm]
    options: TrainingOptions


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A model trained again: how like it is to the one of then, and what is other now than it was."""

    films: dict[Split, int]
    likeness: Likeness
    differences: tuple[str, ...]


def read_kept(settings: Settings, version: str, *, weights: Path | None, keep: Path | None) -> Kept:
    """What it takes to train a version again, its bytes checked against the registry.

    Raises RefusedInput for a model whose folder does not keep it, for weights that are not those of then, and where
    the new model could not be kept as the file `keep`.
    """
    if keep is not None:
        if keep.suffix != ".keras":
            raise RefusedInput(f"--keep: received {keep}; expected a new file .keras")
        refuse_output(settings, keep, option="--keep")
    model = find_model(settings, version)
    manifest = verify_registered(settings, model)
    if manifest.source_file != KERAS_FILE or manifest.label_set_sha256 is None:
        raise RefusedInput(
            f"{version}: was trained elsewhere and imported; expected one that was trained here, of `xray models list`"
        )
    if not {RECIPE_FILE, TRAINING_SET_FILE} <= manifest.files.keys():
        raise RefusedInput(
            f"{version}: was trained before a model's folder kept its training set ({TRAINING_SET_FILE}), so it cannot "
            "be trained again from there; its card has the options for `xray train`"
        )
    folder = settings.models_dir / version
    recipe = read_recipe(folder)
    options = replace(recipe.options, weights=_find_weights(recipe, weights))
    return Kept(folder, manifest, recipe, read_training_set(folder), options)


def gather_sides(settings: Settings, kept: Kept, films: Path | None, *, on_progress: Advance) -> dict[Split, Side]:
    """Every film of the set, decoded, on the side where it stood, with the label and the patient that it had.

    `films` is a folder to look in, by content, for those that are not where the ledger knows them. Raises
    InvalidDataset where some are missing.
    """
    keep_freed_memory()
    start_fork_server()
    load_beside()  # Keras is imported while the decoders work
    preprocessing = kept.manifest.preprocessing
    with open_ledger(settings) as engine, snapshot(engine) as session:
        known = {xray.sha256: xray for xray in read_labelled(session, LabelRules())}
    xrays = [
        (film.side, replace(known[film.sha256], label=film.label, group=film.patient))
        for film in kept.films
        if film.sha256 in known
    ]
    decoded = _decode(settings, [xray for _, xray in xrays], preprocessing, films, on_progress)
    _require_all(kept, [film for film in kept.films if film.sha256 not in decoded])
    return {
        split: stack_side([xray for side, xray in xrays if side is split], decoded, preprocessing) for split in Split
    }


def train_again(
    kept: Kept, sides: dict[Split, Side], *, keep: Path | None, on_epoch: Callable[[EpochRecord], None]
) -> Reproduction:
    """Train with the same options on the same sides, and compare.

    Nobody is told: no ledger is open. The new model is kept only as the file `keep`, where that is given.
    """
    fitted = fit(sides, kept.manifest.preprocessing, kept.options, on_epoch)
    trained = recalibrate(fitted, sides[Split.VALIDATION])
    if keep is not None:
        save_keras(trained.classifier.model, keep)
    return Reproduction(
        films={split: len(side.xrays) for split, side in sides.items()},
        likeness=_compare(kept, trained, sides),
        differences=find_differences(kept.recipe.circumstances, read_circumstances(read_code_revision())),
    )


def _find_weights(recipe: Recipe, given: Path | None) -> Path | None:
    """The local weights that the training began with, by their content."""
    wanted = recipe.options.weights
    if wanted is None and given is None:
        return None
    if wanted is None:
        raise RefusedInput(f"--weights: received {given}; expected none, for it was trained from random ones")
    if given is None:
        raise RefusedInput(f"--weights: received nothing; expected the file {wanted} that its training began with")
    received = hash_file(given) if given.is_file() else "no file"
    if received != recipe.weights_sha256:
        raise RefusedInput(
            f"--weights: {given} has sha256 {received[:12]}; expected {wanted} with {f'{recipe.weights_sha256}'[:12]}"
        )
    return given


def _decode(
    settings: Settings,
    xrays: Sequence[LabelledXray],
    preprocessing: Preprocessing,
    films: Path | None,
    on_progress: Advance,
) -> dict[str, Decoded]:
    """By SHA-256, from where the ledger knows them, else from the folder `films`."""
    limits, locate = settings.decoder_limits, make_locator(settings)
    decoded, _ = read_xrays(limits, xrays, preprocessing, locate=locate, on_progress=on_progress)
    elsewhere = [xray for xray in xrays if xray.sha256 not in decoded]
    if films is None or not elsewhere:
        return decoded
    found = {xray.path: path for xray, path in _find_by_content(films, elsewhere, on_progress)}
    there = [xray for xray in elsewhere if xray.path in found]
    return decoded | read_xrays(limits, there, preprocessing, locate=found.__getitem__)[0]


def _find_by_content(
    folder: Path, xrays: Sequence[LabelledXray], on_progress: Advance
) -> Iterator[tuple[LabelledXray, bytes]]:
    """Every file below a folder that is one of these X-rays, byte by byte."""
    by_content = {xray.sha256: xray for xray in xrays}
    for path in files_below(folder):
        on_progress(1)
        if path.is_file() and not path.is_symlink() and (xray := by_content.get(hash_file(path))) is not None:
            yield xray, os.fsencode(path)


def _require_all(kept: Kept, missing: Sequence[SetFilm]) -> None:
    if not missing:
        return
    by_side = ", ".join(f"{sum(film.side is split for film in missing)} {split.value}" for split in Split)
    raise InvalidDataset(
        f"{len(missing)} of the {len(kept.films)} films that {kept.manifest.version} was trained and judged on cannot "
        f"be read ({by_side}), and no smaller set makes the same model: put them back where they lay (`xray verify` "
        "names them), or name a folder that holds them by --films DIR"
    )


def _compare(kept: Kept, trained: Trained, sides: dict[Split, Side]) -> Likeness:
    """The model of then beside the new one, on every X-ray of the set: a frozen base leaves none unlearned."""
    manifest = kept.manifest
    then = KerasClassifier(load_untrusted_keras(kept.folder / KERAS_FILE), manifest.preprocessing, manifest.output)
    greys = join_sides(list(sides.values())).images[:]
    return measure_likeness(then, trained.classifier, greys, manifest.operating_point)
