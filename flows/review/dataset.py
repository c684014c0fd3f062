"""A folder of labelled X-rays, registered in the ledger so that this and every later training can use it."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Engine

from db import audit
from db.engine import transaction
from db.records import DatasetXray
from db.scoring import folders, labels, xrays
from flows.home.films import name_dataset
from flows.home.site_key import pseudonym, read_site_key
from flows.settings import Settings
from xray_core.exchange.dataset_folder import DatasetFolder, DatasetItem
from xray_core.exchange.records import LabelLine
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.processes.decoding import Decoded
from xray_core.processes.reading import decode_paths
from xray_core.records import FolderKind, escape_name

# Registering needs no network's input, only proof that the file can be read, and its facts.
_SMALL = Preprocessing(height=64, width=64, channels=1, scaling=Scaling.NONE)


@dataclass(frozen=True, slots=True)
class Registration:
    """What became of a dataset: X-rays registered, labels that were new, files kept out by reason."""

    xrays: int
    new_labels: int
    kept_out: dict[str, int]


def register_dataset(
    settings: Settings, engine: Engine, dataset: DatasetFolder, *, on_progress: Callable[[int], None]
) -> Registration:
    """Read every file once, then write X-rays and labels in one transaction; unreadable files are counted by reason.

    The same content under two labels is kept out under both: nobody can know which one is right.
    """
    key = read_site_key(settings)
    kept_out = Counter(dataset.kept_out)
    found: dict[str, tuple[DatasetItem, DatasetXray]] = {}
    contradictory: set[str] = set()
    for item in decode_paths(settings.decoder_limits, [os.fsencode(one.path) for one in dataset.items], _SMALL):
        on_progress(1)
        if not isinstance(item, Decoded):
            kept_out[item.refusal.reason.value] += 1
            continue
        given = dataset.items[item.key]
        if item.sha256 in found and found[item.sha256][0].label is not given.label:
            contradictory.add(item.sha256)
        found.setdefault(item.sha256, (given, _describe(dataset, given, item, key)))
    for sha256 in contradictory:
        del found[sha256]
        kept_out["the same content under two labels"] += 1
    with transaction(engine) as session:
        now = datetime.now(UTC)
        folder_id = folders.add_folder(session, FolderKind.DATASET, name_dataset(settings, dataset.root), now=now)
        ids = xrays.add_dataset_xrays(session, [xray for _, xray in found.values()], folder_id=folder_id, now=now)
        new = labels.add_labels(
            session,
            [(_to_label_row(given, sha256), ids[sha256]) for sha256, (given, _) in sorted(found.items())],
            source="dataset",
            import_sha256=_digest(found),
            now=now,
        )
        if new:
            audit.append(
                session,
                actor="operator",
                action="dataset-registered",
                subject=_digest(found)[:16],
                detail={"xrays": len(found), "new_labels": new},
                now=now,
            )
    return Registration(len(found), new, dict(kept_out))


def _describe(dataset: DatasetFolder, given: DatasetItem, item: Decoded, key: bytes) -> DatasetXray:
    patient_id = given.patient or item.patient_id
    return DatasetXray(
        sha256=item.sha256,
        facts=replace(
            item.facts,
            view=given.view or item.facts.view,
            sex=given.sex or item.facts.sex,
            age_group=given.age_group or item.facts.age_group,
        ),
        dhash=item.dhash,
        path=escape_name(os.fsencode(given.path.relative_to(dataset.root))),
        patient=pseudonym(key, patient_id) if patient_id else None,
        source=given.source,
    )


def _to_label_row(given: DatasetItem, sha256: str) -> LabelLine:
    return LabelLine(
        line=0, filename=given.path.name, xray_sha256=sha256, label=given.label, labelled_by=None, labelled_at=None
    )


def _digest(found: dict[str, tuple[DatasetItem, DatasetXray]]) -> str:
    lines = sorted(f"{sha256} {given.label.value}\n" for sha256, (given, _) in found.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()
