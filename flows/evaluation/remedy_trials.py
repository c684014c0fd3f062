"""What each remedy does to the shortcuts and to the held-out AUC: one training each, on one split, then forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from db.engine import snapshot
from db.reading.labelled import read_labelled
from flows.home.films import make_locator
from flows.home.label_words import read_label_words
from flows.home.ledger import open_ledger, prepare_ledger
from flows.home.site_key import read_site_key
from flows.registry.policy import read_policy
from flows.review.dataset import register_dataset
from flows.settings import Settings
from flows.training.remedies import parse_remedies
from xray_core.evaluation.evaluation import evaluate
from xray_core.evaluation.shortcut_audit import ShortcutAudit
from xray_core.exchange.dataset_folder import DatasetFolder, read_dataset_folder
from xray_core.imaging.records import RemedyWord
from xray_core.models.operating_point import choose_operating_point
from xray_core.networks.options import TrainingOptions
from xray_core.networks.records import Augmentation
from xray_core.records import Interval, LabelledXray, Split
from xray_core.training.fit import fit
from xray_core.training.images import gather_images
from xray_core.training.judgement import audit_images

NONE = "none"
STRONG = "strong"  # no change of the pixels that a model is shown, but of those that it learns from: augmentation
_PROBES = ("file properties", "brightness", "border", "centre", "model without lungs", "corners masked")


@dataclass(frozen=True, slots=True)
class RemedyTrial:
    """A model that was trained with one remedy, or strong augmentation: its AUROC on the test side, and its audit."""

    remedy: str
    auroc: Interval | None
    audit: ShortcutAudit


def try_remedies(
    settings: Settings,
    dataset: Path,
    options: TrainingOptions,
    *,
    patients: Path | None,
    say: Callable[[str], None],
) -> Iterator[RemedyTrial]:
    """Train without a remedy, then with each and with strong augmentation, on the same patients; yields each when done.

    How the patients CSV fits is said before that.

    Nothing is registered and the ledger is not touched: the trials live in a folder that is gone afterwards, under a
    copy of this home's key, so that each patient stands on the side where `xray train` would put them.
    """
    with TemporaryDirectory(prefix="xray-remedies-") as folder:
        trial = settings.but({"home": Path(folder), "database_url": None, "incoming": None})
        (Path(folder) / "site.key").write_bytes((settings.home / "site.key").read_bytes())
        found = read_dataset_folder(dataset, read_label_words(settings), patients, patient_from=settings.patient_from)
        labelled = _register(trial, found, say)
        for word in (NONE, *RemedyWord):
            remedies, erase_border = parse_remedies([] if word == NONE else [word])
            yield _try(trial, labelled, word, replace(options, remedies=remedies, erase_border=erase_border))
        yield _try(trial, labelled, STRONG, replace(options, augmentation=Augmentation.STRONG))


def tabulate(trials: list[RemedyTrial]) -> list[str]:
    """A table for people; lower is better in every column but the first figure and the centre."""
    header = f"{'remedy':13} {'held-out AUC':17}" + "".join(f" {probe:>19}" for probe in _PROBES) + "  verdict"
    return [header, *(_row(trial) for trial in trials)]


def _register(trial: Settings, folder: DatasetFolder, say: Callable[[str], None]) -> list[LabelledXray]:
    prepare_ledger(trial)
    with open_ledger(trial) as engine:
        if folder.fit is not None:
            say(f"{folder.fit}")
        register_dataset(trial, engine, folder, on_progress=lambda _: None)
        with snapshot(engine) as session:
            return read_labelled(session, read_policy(trial).labels)


def _try(trial: Settings, labelled: list[LabelledXray], word: str, options: TrainingOptions) -> RemedyTrial:
    policy = read_policy(trial)
    images = gather_images(
        trial.decoder_limits,
        labelled,
        {},
        read_site_key(trial),
        options.preprocessing,
        used_before=frozenset(),
        locate=make_locator(trial),
        unknown_may_judge=policy.test.unknown_may_judge,
        most_judges=policy.test.most_judges,
    )
    validation, test = images.sides[Split.VALIDATION], images.sides[Split.TEST]
    classifier = fit(images.sides, images.preprocessing, options, lambda _: None).classifier
    point = choose_operating_point(
        classifier.predict(validation.images[:]).astype(np.float64),
        validation.is_covid,
        validation.groups,
        target_sensitivity=trial.target_sensitivity,
        target_specificity=trial.target_specificity,
    )
    scores = classifier.predict(test.images[:]).astype(np.float64)
    evaluation = evaluate(scores, test.is_covid.tolist(), test.groups, point, prevalence=policy.use.prevalence)
    return RemedyTrial(word, evaluation.figures.auroc, audit_images(images, classifier))


def _row(trial: RemedyTrial) -> str:
    told = {one.name: "chance" if one.is_chance else f"{one.auc}" for one in trial.audit.findings}
    cells = "".join(f" {told.get(probe, 'too few'):>19}" for probe in _PROBES)
    return f"{trial.remedy:13} {_write(trial.auroc):17}{cells}  {trial.audit.word}"


def _write(figure: Interval | None) -> str:
    return "too few" if figure is None else f"{figure}"
