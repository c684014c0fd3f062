"""Films of another place: read, and rid of what a model may have been trained on; they are registered nowhere."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from db.engine import snapshot
from db.reading.labelled import read_labelled
from db.registry import evaluations
from db.scoring import xrays
from flows.home.films import make_locator
from flows.home.label_words import read_label_words
from flows.home.site_key import name_patient, read_site_key
from flows.registry.grey_levels import find_grey_store
from flows.registry.policy import read_policy
from flows.settings import Settings
from xray_core.errors import InvalidDataset
from xray_core.exchange.dataset_folder import DatasetFolder, read_dataset_folder
from xray_core.exchange.records import DatasetItem
from xray_core.imaging.records import Preprocessing
from xray_core.processes.decoding import Decoded
from xray_core.processes.reading import read_dataset_films, read_xrays
from xray_core.records import (
    FilmPath,
    FolderKind,
    Label,
    LabelledXray,
    escape_name,
    name_content_group,
)
from xray_core.training.duplicates.kept_pairs import find_pairs
from xray_core.training.implausible_patients import doubt_patients


@dataclass(frozen=True, slots=True)
class ExternalFilms:
    """Labelled X-rays that no model here has seen, and what they look like to one preprocessing.

    `kept_out` counts the files that judge nothing, by reason; `remarks` are sentences on whose X-rays these are.
    """

    xrays: tuple[LabelledXray, ...]
    decoded: dict[str, Decoded]
    kept_out: dict[str, int]
    remarks: tuple[str, ...]


def read_external_films(
    settings: Settings,
    engine: Engine,
    dataset: Path,
    preprocessing: Preprocessing,
    *,
    patients: Path | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> ExternalFilms:
    """Read a folder per class of another place.

    X-rays, patients and near-duplicates of what the ledger has labelled are kept out and counted: a model may have
    been trained on them. Raises InvalidDataset when a class is missing then.
    """
    foreign, decoded, kept_out, remarks = _read_dataset(settings, dataset, patients, preprocessing, on_progress)
    with snapshot(engine) as session:
        labelled = [xray for xray in read_labelled(session, read_policy(settings).labels) if xray.counts]
        external = evaluations.external_xrays(session)
        used = set(xrays.read_splits(session))
    known = [xray for xray in labelled if xray.sha256 not in external]
    doubles, unread = _find_doubles(settings, foreign, decoded, known, preprocessing)
    chosen = _keep_unseen(foreign, known, used, doubles, kept_out)
    _require_both_classes(chosen, kept_out)
    if unread:
        kept_out["labelled here, cannot be read any more, so no double of it could be found:"] = unread
    return ExternalFilms(tuple(chosen), decoded, dict(kept_out), remarks)


def _read_dataset(
    settings: Settings,
    dataset: Path,
    patients: Path | None,
    preprocessing: Preprocessing,
    on_progress: Callable[[int], None],
) -> tuple[list[LabelledXray], dict[str, Decoded], Counter[str], tuple[str, ...]]:
    """The X-rays of the folder, one per content and as decoded, what was kept out, and remarks."""
    folder = read_dataset_folder(dataset, read_label_words(settings), patients, patient_from=settings.patient_from)
    read = read_dataset_films(folder, settings.decoder_limits, preprocessing, on_progress=on_progress)
    if read.repeated:
        read.kept_out["the same content twice"] += read.repeated
    key = read_site_key(settings)
    xrays, doubted = doubt_patients([_to_labelled(item, film, key) for item, film in read.films])
    decoded = {film.sha256: film for _, film in read.films}
    return xrays, decoded, read.kept_out, _remark(folder, xrays, doubted)


def _remark(folder: DatasetFolder, xrays: Sequence[LabelledXray], doubted: int) -> tuple[str, ...]:
    """What must be said of whose the X-rays are."""
    unknown = sum(not xray.patient_known for xray in xrays)
    return (
        *([f"{folder.fit}"] if folder.fit else []),
        *([f"{unknown} X-rays are of unknown patients: each counts as a patient"] if unknown else []),
        *([f"{doubted} of them carry ids that cannot be one person's"] if doubted else []),
    )


def _to_labelled(item: DatasetItem, film: Decoded, key: bytes) -> LabelledXray:
    patient = name_patient(key, item.patient) or name_patient(key, film.identifiers.patient)
    return LabelledXray(
        xray_id=0,
        sha256=film.sha256,
        path=FilmPath(0, FolderKind.DATASET, "", escape_name(os.fsencode(item.path))),
        label=item.label,
        group=patient or name_content_group(film.sha256),
        patient_known=patient is not None,
        source=item.source,
        view=item.view or film.facts.view,
        sex=item.sex or film.facts.sex,
        age_group=item.age_group or film.facts.age_group,
        file_format=film.facts.file_format,
        width=film.facts.width,
        height=film.facts.height,
        dhash=film.dhash,
    )


def _keep_unseen(
    foreign: Sequence[LabelledXray],
    known: Sequence[LabelledXray],
    used_groups: set[str],
    doubles: set[str],
    kept_out: Counter[str],
) -> list[LabelledXray]:
    """Leave out what the model may have been trained on, by content, by patient and by picture."""
    contents = {xray.sha256 for xray in known}
    groups = used_groups | {xray.group for xray in known}
    kept: list[LabelledXray] = []
    for xray in foreign:
        if xray.sha256 in contents:
            kept_out["labelled here before: may have been trained on"] += 1
        elif xray.group in groups:
            kept_out["of a patient with labelled X-rays here"] += 1
        elif xray.sha256 in doubles:
            kept_out["near-duplicate of an X-ray labelled here"] += 1
        else:
            kept.append(xray)
    return kept


def _find_doubles(
    settings: Settings,
    foreign: Sequence[LabelledXray],
    decoded: dict[str, Decoded],
    known: Sequence[LabelledXray],
    preprocessing: Preprocessing,
) -> tuple[set[str], int]:
    """The foreign X-rays that show the same picture as a known one, and how many known ones cannot be read."""
    others = [xray for xray in known if xray.sha256 not in decoded]
    limits, store = settings.decoder_limits, find_grey_store(settings)
    read, _ = read_xrays(limits, others, preprocessing, locate=make_locator(settings), store=store)
    readable = [xray for xray in others if xray.sha256 in read]
    pairs = find_pairs(store, preprocessing, limits.chest_words, readable, read | decoded, foreign=foreign)
    doubles = {a if a in decoded else b for a, b in pairs if (a in decoded) != (b in decoded)}
    return doubles, len(others) - len(readable)


def _require_both_classes(chosen: Sequence[LabelledXray], kept_out: Counter[str]) -> None:
    counts = Counter(xray.label for xray in chosen)
    if not (counts[Label.COVID] and counts[Label.NORMAL]):
        reasons = "; ".join(f"{reason}: {number}" for reason, number in sorted(kept_out.items())) or "nothing"
        raise InvalidDataset(
            f"{counts[Label.COVID]} covid and {counts[Label.NORMAL]} normal X-rays are left to judge on; expected both "
            f"(kept out: {reasons}): name a folder with films of both that no training here has seen"
        )
