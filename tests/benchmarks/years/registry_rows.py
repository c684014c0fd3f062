"""Models with their folders, evaluations and trainings of a home of years."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from db.records import ModelRecord, TrainingState
from flows.registry.standing import DRIFT_SET
from tests.benchmarks.years.rows import Row, content_of, sha256_of, time_of
from xray_core.models.folder import hash_manifest, read_manifest
from xray_core.models.records import ModelManifest
from xray_core.records import Split, Verdict

_DRIFT_CHECKS_EACH = 3
_TEST_SIDE = 300
_NOBODY = {"negative": 0, "refer": 0, "positive": 0}


def copy_model(models_dir: Path, version: str, number: int) -> tuple[ModelManifest, str]:
    """Another version with the same weights, in a folder of its own; its manifest and the hash of that."""
    source = models_dir / version
    folder = models_dir / f"{number:04d}-retrained"
    folder.mkdir(mode=0o700)
    for path in source.iterdir():
        if path.name != "model.json":
            os.link(path, folder / path.name)
    described = json.loads((source / "model.json").read_bytes()) | {"version": folder.name}
    (folder / "model.json").write_text(json.dumps(described))
    (folder / "model.json").chmod(0o600)
    return replace(read_manifest(folder), version=folder.name), hash_manifest(folder)


def evaluation_rows(known: Sequence[ModelRecord]) -> Iterator[Row]:
    """Of every model: on the test side, at another site, and what its drift checks found."""
    for place, model in enumerate(known, start=1):
        films = range(1, _TEST_SIDE + 1)
        side = [[content_of(number)[:16]] for number in films]
        look = {"number": place, "renewed_at": "2026-01-01T00:00:00+00:00", "side": side, "follows": None}
        figures = {"auroc": None, "ppv": None, "npv": None}
        test = {"prevalence": 0.1, "figures": figures, "look": look, "confusion_covid": _NOBODY}
        test |= {"confusion_normal": _NOBODY}
        yield _evaluation_row(model, Split.TEST.value, test, place, len(known))
        if place < len(known):
            external = {"xrays": [sha256_of(f"external {number}") for number in films], "kept_out": {}}
            external |= {"evaluation": test}
            yield _evaluation_row(model, "external: siteB", external, place, len(known))
        for _ in range(_DRIFT_CHECKS_EACH):
            found = {"moved": False, "sentence": "Nothing has moved.", "figures": [], "xrays": 500}
            yield _evaluation_row(model, DRIFT_SET, found, place, len(known))


def training_rows(known: Sequence[ModelRecord], trainings: int, labels: int) -> Iterator[Row]:
    """A training for each version; every other one was rejected."""
    for number in range(1, trainings + 1):
        at = time_of(number, trainings)
        yield {
            "label_set_sha256": sha256_of(f"labels {number}"),
            "state": TrainingState.FINISHED,
            "label_watermark": labels * number // trainings,
            "trigger": "event",
            "started_at": at,
            "finished_at": at,
            "candidate_model_id": known[(number - 1) % len(known)].model_id,
            "verdict": Verdict.PROMOTE if number % 2 else Verdict.REJECT,
            "reason": "AUROC 0.91 (0.88 to 0.94) against 0.90 (0.87 to 0.93)",
            "policy_sha256": sha256_of("policy"),
        }


def _evaluation_row(model: ModelRecord, set_name: str, figures: object, place: int, of: int) -> Row:
    return {
        "model_id": model.model_id,
        "set_name": set_name,
        "label_set_sha256": sha256_of(f"{set_name} {place}"),
        "figures": json.dumps(figures, sort_keys=True),
        "created_at": time_of(place, of),
    }
