"""Have the incoming X-rays, or the champion's scores, moved away from what it was trained on?"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from db import evaluations, scored_xrays
from db.engine import snapshot, transaction
from flows.known_scores import score_known
from flows.ledger import open_ledger
from flows.material import Material
from flows.models import find_model
from flows.registered_model import open_registered
from flows.settings import Settings
from xray_core.chest_reference import ChestReference
from xray_core.drift import Drift, find_drift, summarise_greys
from xray_core.records import ImageFacts, Split
from xray_core.scoring import Classifier

DRIFT_SET = "drift"
DRIFT_FILE = "drift_reference.json"
NEWEST = 500  # X-rays that came in last: weeks of a small department, a day of a large one

_Figures = dict[str, list[float] | list[str]]


def check_drift_of_champion(settings: Settings, *, on_progress: Callable[[int], None] = lambda _: None) -> Drift:
    """Compare the newest incoming X-rays, one of each patient, with the champion's reference, and store the answer.

    The retraining policy's second trigger reads it from there. Where there is no reference (an imported model) or
    there are too few X-rays nothing has moved, and the sentence says that it cannot be told. Raises RefusedInput
    without a champion.
    """
    champion = find_model(settings, None)
    opened = open_registered(settings, champion)
    reference = _read_reference(settings.models_dir / champion.version, opened.manifest.files)
    with open_ledger(settings) as engine:
        with snapshot(engine) as session:
            newest = scored_xrays.list_scored_xrays(session, newest=NEWEST)
        by_patient = {xray.patient or xray.sha256: xray for xray in reversed(newest) if xray.name is not None}
        xrays = list(by_patient.values())
        scores = score_known(settings, opened, xrays, on_progress=on_progress) if reference else {}
        drift = _compare(
            reference,
            describe_xrays(
                np.stack([score.decoded.grey for score in scores.values()]),
                [score.decoded.facts for score in scores.values()],
                probabilities=[score.probability for score in scores.values()],
                distances=[score.distance for score in scores.values()],
            )
            if scores
            else {},
        )
        with transaction(engine) as session:
            evaluations.add_evaluation(
                session,
                model_id=champion.model_id,
                set_name=DRIFT_SET,
                label_set_sha256=hashlib.sha256("".join(sorted(scores)).encode()).hexdigest(),
                figures=asdict(drift) | {"xrays": len(scores)},
                now=datetime.now(UTC),
            )
    return drift


def write_drift_reference(
    folder: Path, material: Material, classifier: Classifier, reference: ChestReference | None
) -> None:
    """Write what the model's own X-rays look like, one of each patient: numbers alone, nobody can be told from them.

    Scores and distances are those of the held-out sides: on what a network has learned it is surer than elsewhere.
    """
    everything = [_one_per_group(material, split) for split in Split]
    held_out = [_one_per_group(material, split) for split in (Split.VALIDATION, Split.TEST)]
    greys = np.concatenate([material.sides[split].images[places] for split, places in everything])
    facts = [material.sides[split].facts[place] for split, places in everything for place in places]
    unseen = np.concatenate([material.sides[split].images[places] for split, places in held_out])
    distances = [oddity.distance for oddity in reference.find_oddities(unseen)] if reference else []
    figures = describe_xrays(greys, facts, probabilities=classifier.predict(unseen).tolist(), distances=distances)
    (folder / DRIFT_FILE).write_bytes(dump_figures(figures))


def _one_per_group(material: Material, split: Split) -> tuple[Split, list[int]]:
    return split, list({group: place for place, group in enumerate(material.sides[split].groups)}.values())


def describe_xrays(
    greys: NDArray[np.uint8],
    facts: Sequence[ImageFacts],
    *,
    probabilities: Sequence[float],
    distances: Sequence[float | None],
) -> _Figures:
    """The figures that drift is looked for in, of fitted X-rays (n, height, width) uint8; an empty one is not asked."""
    figures: _Figures = {
        name: [round(float(one), 3) for one in values] for name, values in summarise_greys(greys).items()
    }
    figures["width (log)"] = [round(math.log(fact.width), 4) for fact in facts]
    figures["file format"] = [fact.file_format.value for fact in facts]
    figures["P(covid)"] = [round(one, 5) for one in probabilities]
    figures["distance from a chest film"] = [round(one, 4) for one in distances if one is not None]
    return figures


def dump_figures(figures: _Figures) -> bytes:
    """The figures as they stand in a model's folder."""
    return f"{json.dumps(figures)}\n".encode()


def _compare(reference: _Figures | None, incoming: _Figures) -> Drift:
    if reference is None:
        return Drift(
            False,
            "It cannot be told: this model was imported without --reference, so nothing is known of its X-rays.",
            (),
        )
    shared = {name: values for name, values in reference.items() if values}
    return find_drift(shared, {name: incoming.get(name, []) for name in shared})


def _read_reference(folder: Path, files: dict[str, str]) -> _Figures | None:
    """The figures that were written with the model; `verify` proves that they still are."""
    if DRIFT_FILE not in files:
        return None
    figures: _Figures = json.loads((folder / DRIFT_FILE).read_bytes())
    return figures
