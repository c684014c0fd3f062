"""What a model's folder keeps so that it can be trained again: its films by content, its options, on what it ran."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import TypeAdapter

from xray_core.imaging.content import hash_file
from xray_core.networks.options import TrainingOptions
from xray_core.records import Label, Split
from xray_core.training.reproduction.circumstances import Circumstances, read_circumstances

if TYPE_CHECKING:
    from xray_core.training.images import Side
    from xray_core.training.trial import Trial

RECIPE_FILE: Final = "recipe.json"
TRAINING_SET_FILE: Final = "training_set.csv"
_HEADER: Final = ("sha256", "label", "side", "patient")


class SetFilm(NamedTuple):
    """A film of a training set: its content, what it was trained or judged as, on which side, and whose it was.

    `patient` is a number within this set, in the order of the pseudonyms: it names nobody, and folds that are dealt to
    patients in their order are dealt alike.
    """

    sha256: str
    label: Label
    side: Split
    patient: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model was trained.

    The options are spelled out: no default of a later version changes them. Of local weights they hold the file's name
    alone, `weights_sha256` its content. The sides of the films hang on the site key with `key_fingerprint`.
    """

    options: TrainingOptions
    weights_sha256: str | None
    key_fingerprint: str
    circumstances: Circumstances


_RECIPE: Final = TypeAdapter(Recipe)


def write_recipe(trial: Trial, folder: Path) -> None:
    """Write the recipe and the training set of a trial; the films stand in the order in which they were trained on."""
    weights = trial.options.weights
    recipe = Recipe(
        options=_spell_out(trial.options),
        weights_sha256=hash_file(weights) if weights else None,
        key_fingerprint=trial.key_fingerprint,
        circumstances=read_circumstances(trial.code_revision),
    )
    (folder / RECIPE_FILE).write_bytes(_RECIPE.dump_json(recipe, indent=2) + b"\n")
    numbers = _number_patients(trial.images.sides.values())
    with (folder / TRAINING_SET_FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_HEADER)
        for split, side in trial.images.sides.items():
            writer.writerows((x.sha256, x.label.value, split.value, numbers[x.group]) for x in side.xrays)


def _number_patients(sides: Iterable[Side]) -> dict[str, str]:
    """A number for each patient, as wide as the last one, so that they sort as the pseudonyms do."""
    groups = sorted({group for side in sides for group in side.groups})
    return {group: f"{number:0{len(str(len(groups)))}}" for number, group in enumerate(groups, start=1)}


def _spell_out(options: TrainingOptions) -> TrainingOptions:
    """With every default as it was used; of local weights their file's name."""
    return replace(
        options,
        learning_rate=options.rate,
        augmentation=options.augmented,
        shear=options.ranges.shear,
        zoom=options.ranges.zoom,
        weights=Path(options.weights.name) if options.weights else None,
    )


def read_recipe(folder: Path) -> Recipe:
    """Read the recipe of a model folder, whose bytes have been checked."""
    return _RECIPE.validate_json((folder / RECIPE_FILE).read_bytes())


def read_training_set(folder: Path) -> list[SetFilm]:
    """Read the training set of a model folder, whose bytes have been checked, in its order."""
    with (folder / TRAINING_SET_FILE).open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return [SetFilm(row["sha256"], Label(row["label"]), Split(row["side"]), row["patient"]) for row in rows]
