"""What chest films look like to a model from elsewhere, learned from X-rays that its team says are like its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flows.home.label_words import read_label_words
from flows.settings import Settings
from xray_core.errors import InvalidDataset
from xray_core.evaluation.drift import FEWEST_XRAYS as FEWEST_TO_COMPARE
from xray_core.exchange.dataset_folder import read_dataset_folder
from xray_core.exchange.dataset_patients import PatientsFit
from xray_core.imaging.patient_ids import is_placeholder
from xray_core.imaging.records import Preprocessing
from xray_core.models.chest_reference import (
    FEWEST_XRAYS,
    ChestReference,
    dump_reference,
    learn_reference,
)
from xray_core.models.records import REFERENCE_FILE
from xray_core.processes.reading import read_dataset_films
from xray_core.training.drift_reference import DRIFT_FILE, describe_xrays, dump_figures

_HELD_OUT = 3  # every third patient judges what was learned from the others


@dataclass(frozen=True, slots=True)
class ForeignReference:
    """The files that join the model's folder, by name, and how many X-rays of how many patients they come from.

    X-rays of unknown patients are counted apart; `fit` is how the patients CSV fits, where one was given.
    """

    chest: ChestReference
    files: dict[str, bytes]
    xrays: int
    patients: int
    unknown: int
    fit: PatientsFit | None


def learn_foreign_reference(
    settings: Settings,
    dataset: Path,
    takes: Preprocessing,
    *,
    patients: Path | None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> ForeignReference:
    """Learn from a folder per class, as `xray train` takes it; nothing is registered and nobody is trained on.

    The scores are left out of the drift reference: nobody here knows which of these X-rays the model has learned
    from, and on those it is surer than elsewhere. Raises InvalidDataset for too few readable X-rays or patients.
    """
    folder = read_dataset_folder(
        dataset, read_label_words(settings), patients, both_classes=False, patient_from=settings.patient_from
    )
    read = read_dataset_films(folder, settings.decoder_limits, takes, on_progress=on_progress)
    xrays = [film for _, film in read.films]
    named = [_name_group(item.patient, film.identifiers.patient) for item, film in read.films]
    groups = [patient or film.sha256 for patient, film in zip(named, xrays, strict=True)]
    names = sorted(set(groups))
    judges = set(np.random.default_rng(0).permutation(names)[: len(names) // _HELD_OUT].tolist())
    greys = np.stack([item.grey for item in xrays]) if xrays else np.empty((0, takes.height, takes.width), np.uint8)
    is_judge = np.array([group in judges for group in groups], dtype=np.bool_)
    learned = [group for group in groups if group not in judges]
    chest = learn_reference(greys[~is_judge], learned, greys[is_judge])
    if chest is None:
        raise InvalidDataset(
            f"{dataset}: received {len(xrays)} readable X-rays of {len(names)} patients or unknown ones to learn chest "
            f"films from; expected about {FEWEST_XRAYS * _HELD_OUT // (_HELD_OUT - 1)} or more"
        )
    one_each = list({group: place for place, group in enumerate(groups)}.values())
    judging = [place for place in one_each if is_judge[place]]
    if len(judging) < FEWEST_TO_COMPARE:  # so few distances would keep every other figure from being compared
        judging = []
    figures = describe_xrays(
        greys[one_each],
        [xrays[place].facts for place in one_each],
        probabilities=[],
        distances=[oddity.distance for oddity in chest.find_oddities(greys[judging])] if judging else [],
    )
    files = {REFERENCE_FILE: dump_reference(chest), DRIFT_FILE: dump_figures(figures)}
    known = len(set(filter(None, named)))
    return ForeignReference(chest, files, len(xrays), known, named.count(None), folder.fit)


def _name_group(*patient_ids: str | None) -> str | None:
    """The first id that names a patient."""
    return next((given for given in patient_ids if given and not is_placeholder(given)), None)
