"""An external set: labelled X-rays of another site that judge a model apart and are never trained on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from db.engine import snapshot, transaction
from db.reading.labelled import read_labelled
from db.registry import evaluations
from db.scoring import xrays
from flows.home.films import make_locator
from flows.home.label_words import read_label_words
from flows.home.ledger import open_ledger
from flows.home.site_key import name_patient, read_site_key
from flows.registry.models import find_model
from flows.registry.policy import read_policy
from flows.registry.registered import open_registered
from flows.registry.rescoring import KnownScore, score_known
from flows.registry.standing import publish_addendum
from flows.registry.verdicts import AUDIT_SET
from flows.settings import Settings
from xray_core.errors import InvalidDataset, RefusedInput
from xray_core.evaluation.elsewhere import judge_elsewhere
from xray_core.evaluation.evaluation import Evaluation, evaluate
from xray_core.evaluation.others import OtherFilms
from xray_core.evaluation.slices import name_slices
from xray_core.exchange.dataset_folder import DatasetFolder, read_dataset_folder
from xray_core.exchange.records import DatasetItem
from xray_core.imaging.records import Preprocessing
from xray_core.models.records import OperatingPoint
from xray_core.processes.decoding import Decoded
from xray_core.processes.reading import read_dataset_films, read_xrays
from xray_core.records import (
    AuditVerdict,
    FilmPath,
    FolderKind,
    Label,
    LabelledXray,
    escape_name,
    name_content_group,
)
from xray_core.training.implausible_patients import doubt_patients
from xray_core.training.near_duplicates import find_near_duplicates
from xray_core.training.split import digest_label_set

_RESERVED = {"train", "validation", "test", "drift", AUDIT_SET}


@dataclass(frozen=True, slots=True)
class ExternalEvaluation:
    """How a model does on an external set; `kept_out` counts its files that judge nothing, by reason.

    `odd` is how many of its X-rays the model refers as no chest film of the kind that it was trained on; `remarks`
    are sentences on whose they are; `audit` is the model's shortcut audit, None where nobody made one.
    """

    name: str
    version: str
    evaluation: Evaluation
    kept_out: dict[str, int]
    odd: int
    remarks: tuple[str, ...]
    audit: AuditVerdict | None

    @property
    def sentence(self) -> str:
        """What it comes to: whether the model may be used there."""
        return judge_elsewhere(self.name, self.evaluation.to_dict()).sentence


def evaluate_external(
    settings: Settings,
    dataset: Path,
    name: str,
    *,
    patients: Path | None,
    version: str | None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> ExternalEvaluation:
    """Evaluate a version (the champion without one) on a folder per class and store the figures under `name`.

    X-rays, patients and near-duplicates of what the ledger has labelled are kept out and counted: the model may have
    been trained on them. What is left becomes external for ever: no training takes it, whoever labels it later.
    Raises RefusedInput for a name that is taken by the service, InvalidDataset when a class is missing then.
    """
    if not name.strip() or name in _RESERVED:
        raise RefusedInput(f"--name: received {name!r}; expected a name of your own, as in siteB")
    model = find_model(settings, version)
    opened = open_registered(settings, model)
    preprocessing = opened.manifest.preprocessing
    foreign, kept_out, remarks = _read_dataset(settings, dataset, patients, preprocessing, on_progress)
    with open_ledger(settings) as engine:
        with snapshot(engine) as session:
            labelled = [xray for xray in read_labelled(session, read_policy(settings).labels) if xray.counts]
            external = evaluations.external_xrays(session)
            used = set(xrays.read_splits(session))
        known = [xray for xray in labelled if xray.sha256 not in external]
        doubles, unread = _find_doubles(settings, foreign, known, preprocessing)
        chosen = _keep_unseen(foreign, known, used, doubles, kept_out)
        _require_both_classes(chosen, kept_out)
        scores = score_known(settings, opened, chosen)
        chosen = [xray for xray in chosen if xray.sha256 in scores]
        evaluation = _evaluate(chosen, scores, opened.manifest.operating_point, prevalence=settings.prevalence)
        with transaction(engine) as session:
            evaluations.add_evaluation(
                session,
                model_id=model.model_id,
                set_name=evaluations.name_external(name),
                label_set_sha256=digest_label_set(chosen),
                figures={
                    "xrays": sorted(xray.sha256 for xray in chosen),
                    "kept_out": dict(kept_out),
                    "evaluation": evaluation.to_dict(),
                },
                now=datetime.now(UTC),
            )
        with snapshot(engine) as session:
            publish_addendum(settings, session, model.version)
    odd = sum(scores[xray.sha256].score.is_odd for xray in chosen)
    if unread:
        kept_out["labelled here, cannot be read any more, so no double of it could be found:"] = unread
    return ExternalEvaluation(name, model.version, evaluation, dict(kept_out), odd, remarks, model.audit_verdict)


def _read_dataset(
    settings: Settings,
    dataset: Path,
    patients: Path | None,
    preprocessing: Preprocessing,
    on_progress: Callable[[int], None],
) -> tuple[list[LabelledXray], Counter[str], tuple[str, ...]]:
    """The X-rays of the folder, one per content, what was kept out, and remarks; they are registered nowhere."""
    folder = read_dataset_folder(dataset, read_label_words(settings), patients, patient_from=settings.patient_from)
    read = read_dataset_films(folder, settings.decoder_limits, preprocessing, on_progress=on_progress)
    if read.repeated:
        read.kept_out["the same content twice"] += read.repeated
    key = read_site_key(settings)
    xrays, doubted = doubt_patients([_to_labelled(item, film, key) for item, film in read.films])
    return xrays, read.kept_out, _remark(folder, xrays, doubted)


def _remark(folder: DatasetFolder, xrays: Sequence[LabelledXray], doubted: int) -> tuple[str, ...]:
    """What must be said of whose the X-rays are."""
    unknown = sum(not xray.patient_known for xray in xrays)
    return (
        *([f"{folder.fit}"] if folder.fit else []),
        *([f"{unknown} X-rays are of unknown patients: each counts as a patient"] if unknown else []),
        *([f"{doubted} of them carry ids that cannot be one person's"] if doubted else []),
    )


def _to_labelled(item: DatasetItem, film: Decoded, key: bytes) -> LabelledXray:
    patient = name_patient(key, item.patient) or name_patient(key, film.patient_id)
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
    known: Sequence[LabelledXray],
    preprocessing: Preprocessing,
) -> tuple[set[str], int]:
    """The foreign X-rays that show the same picture as a known one, and how many known ones cannot be read any more."""
    contents = {xray.sha256 for xray in foreign}
    both = [*foreign, *(xray for xray in known if xray.sha256 not in contents)]
    decoded, _ = read_xrays(settings.decoder_limits, both, preprocessing, locate=make_locator(settings))
    readable = [xray for xray in both if xray.sha256 in decoded]
    pairs = find_near_duplicates([x.dhash for x in readable], lambda place: decoded[readable[place].sha256].grey).pairs
    doubles = set()
    for first, second in pairs:
        a, b = readable[first].sha256, readable[second].sha256
        if (a in contents) != (b in contents):
            doubles.add(a if a in contents else b)
    return doubles, len(both) - len(readable)


def _require_both_classes(chosen: Sequence[LabelledXray], kept_out: Counter[str]) -> None:
    counts = Counter(xray.label for xray in chosen)
    if not (counts[Label.COVID] and counts[Label.NORMAL]):
        reasons = "; ".join(f"{reason}: {number}" for reason, number in sorted(kept_out.items())) or "nothing"
        raise InvalidDataset(
            f"{counts[Label.COVID]} covid and {counts[Label.NORMAL]} normal X-rays are left to judge on; expected both "
            f"(kept out: {reasons}): name a folder with films of both that no training here has seen"
        )


def _evaluate(
    chosen: Sequence[LabelledXray], scores: dict[str, KnownScore], point: OperatingPoint, *, prevalence: float
) -> Evaluation:
    of_classes = [xray for xray in chosen if xray.label is not Label.OTHER]
    others = [xray for xray in chosen if xray.label is Label.OTHER]
    return evaluate(
        np.array([scores[xray.sha256].score.probability for xray in of_classes]),
        [xray.label is Label.COVID for xray in of_classes],
        [xray.group for xray in of_classes],
        point,
        prevalence=prevalence,
        is_odd=[scores[xray.sha256].score.is_odd for xray in of_classes],
        slices=name_slices(of_classes),
        others=OtherFilms(
            [scores[x.sha256].score.probability for x in others],
            [x.group for x in others],
            [scores[x.sha256].score.is_odd for x in others],
        ),
    )
