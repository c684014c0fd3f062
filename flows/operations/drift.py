"""Have the incoming X-rays, or the champion's scores, moved away from what it was trained on?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from db.engine import snapshot, transaction
from db.registry import evaluations
from db.scoring import results
from flows.home.ledger import open_ledger
from flows.registry.models import find_model
from flows.registry.registered import open_registered
from flows.registry.rescoring import score_known
from flows.registry.standing import DRIFT_SET, publish_addendum
from flows.settings import Settings
from xray_core.evaluation.drift import Drift, find_drift
from xray_core.training.drift_reference import DRIFT_FILE, Figures, describe_xrays

NEWEST = 500  # X-rays that came in last: weeks of a small department, a day of a large one


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
            newest = results.list_scored_xrays(session, newest=NEWEST)
        by_patient = {xray.patient or xray.sha256: xray for xray in reversed(newest) if xray.name is not None}
        xrays = list(by_patient.values())
        scores = score_known(settings, opened, xrays, on_progress=on_progress) if reference else {}
        drift = _compare(
            reference,
            describe_xrays(
                np.stack([film.grey for film, _ in scores.values()]),
                [film.facts for film, _ in scores.values()],
                probabilities=[score.probability for _, score in scores.values()],
                distances=[score.distance for _, score in scores.values()],
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
        with snapshot(engine) as session:
            publish_addendum(settings, session, champion.version)
    return drift


def _compare(reference: Figures | None, incoming: Figures) -> Drift:
    if reference is None:
        return Drift(
            False,
            "It cannot be told: this model was imported without --reference, so nothing is known of its X-rays.",
            (),
        )
    shared = {name: values for name, values in reference.items() if values}
    return find_drift(shared, {name: incoming.get(name, []) for name in shared})


def _read_reference(folder: Path, files: dict[str, str]) -> Figures | None:
    """The figures that were written with the model; `verify` proves that they still are."""
    if DRIFT_FILE not in files:
        return None
    figures: Figures = json.loads((folder / DRIFT_FILE).read_bytes())
    return figures
