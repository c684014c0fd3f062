"""A folder of labelled X-rays, registered in the ledger so that this and every later training can use it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Engine

from db import audit
from db.engine import transaction
from db.records import DatasetXray
from db.scoring import folders, labels, patients, xrays
from flows.home.films import name_dataset
from flows.home.patients import count_doubted
from flows.home.site_key import name_patient, read_site_key
from flows.settings import Settings
from xray_core.exchange.dataset_folder import DatasetFolder
from xray_core.exchange.records import DatasetItem, LabelLine
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.processes.decoding import Decoded
from xray_core.processes.reading import read_dataset_films
from xray_core.records import FolderKind, escape_name

# Registering needs no network's input, only proof that the file can be read, and its facts.
_SMALL = Preprocessing(height=64, width=64, channels=1, scaling=Scaling.NONE)


@dataclass(frozen=True, slots=True)
class Registration:
    """What became of a dataset: X-rays registered, labels that were new, files kept out by reason.

    `label_set_sha256` is the digest of its labels as a training has it of all labels.

    `unknown_patients` of its X-rays are nobody knows whose; `other_patients` keep the patient that they had here;
    `against_header` ones are another's by their own header than by the patients CSV, which counts; `doubted` ones, of
    all that are labelled, carry an id that cannot be one person's.
    """

    xrays: int
    label_set_sha256: str
    new_labels: int
    kept_out: dict[str, int]
    unknown_patients: int
    other_patients: int
    against_header: int
    doubted: int


def register_dataset(
    settings: Settings, engine: Engine, dataset: DatasetFolder, *, on_progress: Callable[[int], None]
) -> Registration:
    """Read every file once, then write X-rays and labels in one transaction; unreadable files are counted by reason.

    The same content under two labels is kept out under both: nobody can know which one is right.
    """
    read = read_dataset_films(dataset, settings.decoder_limits, _SMALL, on_progress=on_progress)
    key = read_site_key(settings)
    items = {film.sha256: item for item, film in read.films}
    with transaction(engine) as session:
        now = datetime.now(UTC)
        folder_id = folders.add_folder(session, FolderKind.DATASET, name_dataset(settings, dataset.root), now=now)
        described = [_describe(dataset, item, film, key) for item, film in read.films]
        ids = xrays.add_dataset_xrays(session, described, folder_id=folder_id, now=now)
        headers = _find_other_headers(read.films, key)
        patients.record_headers(session, headers, now=now)
        unsaid = {film.sha256 for item, film in read.films if name_patient(key, item.patient) is None}
        names = {xray.sha256: xray.path.rpartition("/")[2] for xray in described if xray.sha256 in unsaid}
        patients.apply_to_arrivals(session, names, now=now)
        known = patients.read_patients(session, sorted(items))
        new = labels.add_labels(
            session,
            [(_to_label_row(item, sha256), ids[sha256]) for sha256, item in sorted(items.items())],
            source="dataset",
            import_sha256=_digest(items),
            now=now,
        )
        if new:
            audit.append(
                session,
                actor="operator",
                action="dataset-registered",
                subject=_digest(items)[:16],
                detail={"xrays": len(items), "new_labels": new, **_tell_words(items)},
                now=now,
            )
        doubted = count_doubted(session)
    unknown = sum(patient is None for patient in known.values())
    other = sum(xray.patient not in (None, known[xray.sha256]) for xray in described)
    return Registration(len(items), _digest(items), new, dict(read.kept_out), unknown, other, len(headers), doubted)


def _describe(dataset: DatasetFolder, item: DatasetItem, film: Decoded, key: bytes) -> DatasetXray:
    return DatasetXray(
        sha256=film.sha256,
        facts=replace(
            film.facts,
            view=item.view or film.facts.view,
            sex=item.sex or film.facts.sex,
            age_group=item.age_group or film.facts.age_group,
        ),
        dhash=film.dhash,
        path=escape_name(os.fsencode(item.path.relative_to(dataset.root))),
        patient=name_patient(key, item.patient) or name_patient(key, film.identifiers.patient),
        source=item.source,
    )


def _find_other_headers(films: Sequence[tuple[DatasetItem, Decoded]], key: bytes) -> dict[str, str]:
    """The patients of films (by SHA-256) whose own header names another one than the patients CSV does."""
    named = (
        (film.sha256, name_patient(key, item.patient), name_patient(key, film.identifiers.patient))
        for item, film in films
    )
    return {sha256: header for sha256, said, header in named if said and header and said != header}


def _to_label_row(item: DatasetItem, sha256: str) -> LabelLine:
    return LabelLine(
        line=0, filename=item.path.name, xray_sha256=sha256, label=item.label, labelled_by=None, labelled_at=None
    )


def _tell_words(items: dict[str, DatasetItem]) -> dict[str, dict[str, str]]:
    """The site's own words that were used, each with the label that it stood for."""
    words = {item.word: item.label.value for item in items.values() if item.word is not None}
    return {"words": dict(sorted(words.items()))} if words else {}


def _digest(items: dict[str, DatasetItem]) -> str:
    lines = sorted(f"{sha256} {item.label.value}\n" for sha256, item in items.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()
