"""What the incoming X-rays of a model are compared with later: figures of its training X-rays, in its folder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xray_core.evaluation.drift import summarise_greys
from xray_core.imaging.records import ImageFacts
from xray_core.models.chest_reference import ChestReference
from xray_core.processes.grey_rows import choose_some
from xray_core.records import Split

if TYPE_CHECKING:
    from xray_core.training.images import TrainingImages

DRIFT_FILE = "drift_reference.json"


_MOST_PATIENTS = 1000  # of a side; more would not move a test that compares them with hundreds of incoming films
Figures = dict[str, list[float] | list[str]]


def write_drift_reference(
    folder: Path,
    images: TrainingImages,
    said: Mapping[Split, NDArray[np.float64]],
    reference: ChestReference | None,
) -> None:
    """Write what the model's own X-rays look like, one of each patient: numbers alone, nobody can be told from them.

    Scores P(covid) (n,), said of each side, and distances are those of the held-out sides: on what a network has
    learned it is surer than elsewhere.
    """
    everything = [_one_per_group(images, split) for split in Split]
    held_out = [_one_per_group(images, split) for split in Split if split not in images.learned]
    greys = np.concatenate([images.sides[split].images[places] for split, places in everything])
    facts = [images.sides[split].facts[place] for split, places in everything for place in places]
    unseen = np.concatenate([images.sides[split].images[places] for split, places in held_out])
    distances = [oddity.distance for oddity in reference.find_oddities(unseen)] if reference else []
    scores = np.concatenate([said[split][places] for split, places in held_out])
    figures = describe_xrays(greys, facts, probabilities=scores.tolist(), distances=distances)
    (folder / DRIFT_FILE).write_bytes(dump_figures(figures))


def _one_per_group(images: TrainingImages, split: Split) -> tuple[Split, list[int]]:
    """A film of each patient of a side, or of so many patients as are enough, by chance."""
    places = list({group: place for place, group in enumerate(images.sides[split].groups)}.values())
    return split, [places[chosen] for chosen in choose_some(len(places), _MOST_PATIENTS)]


def describe_xrays(
    greys: NDArray[np.uint8],
    facts: Sequence[ImageFacts],
    *,
    probabilities: Sequence[float],
    distances: Sequence[float | None],
) -> Figures:
    """The figures that drift is looked for in, of fitted X-rays (n, height, width) uint8; an empty one is not asked."""
    figures: Figures = {
        name: [round(float(value), 3) for value in values] for name, values in summarise_greys(greys).items()
    }
    figures["width (log)"] = [round(math.log(fact.width), 4) for fact in facts]
    figures["file format"] = [fact.file_format.value for fact in facts]
    figures["P(covid)"] = [round(score, 5) for score in probabilities]
    figures["distance from a chest film"] = [round(distance, 4) for distance in distances if distance is not None]
    return figures


def dump_figures(figures: Figures) -> bytes:
    """The figures as they stand in a model's folder."""
    return f"{json.dumps(figures)}\n".encode()
