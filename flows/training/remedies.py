"""Remedies by the words that a person types, what a retraining takes over of the champion, and what is one training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

from db.engine import snapshot
from db.registry import models
from flows.home.ledger import open_ledger
from flows.settings import Settings
from xray_core.errors import RefusedInput
from xray_core.imaging.records import Remedy, RemedyWord
from xray_core.models.folder import read_manifest
from xray_core.models.records import ModelManifest
from xray_core.networks.options import TrainingOptions
from xray_core.networks.records import Architecture, Augmentation
from xray_core.promotion.due import Due
from xray_core.promotion.policy import RetrainingAugmentation, RetrainingPolicy
from xray_core.training.left_out import read_choice

ERASE_BORDER = RemedyWord.ERASE_BORDER.value


def parse_remedies(words: Sequence[str]) -> tuple[tuple[Remedy, ...], bool]:
    """The steps of preprocessing that words name, and whether training erases borders. Raises RefusedInput."""
    for word in words:
        if word not in tuple(RemedyWord):
            raise RefusedInput(f"--remedy: received {word!r}; expected one of {', '.join(RemedyWord)}")
    return tuple(remedy for remedy in Remedy if remedy.value in words), ERASE_BORDER in words


def sign_training(label_set_sha256: str, options: TrainingOptions, *, patients_sha256: str | None) -> str:
    """What is trained on once: the label set, what was said of its patients, and what is not the plain recipe.

    `patients_sha256` is of whose the X-rays are by what was said after they came; None where nothing was. The
    augmentation counts where it is not the one that the network has by itself.
    """
    words = [remedy.value for remedy in Remedy if remedy in options.remedies]
    words += [ERASE_BORDER] if options.erase_border else []
    words += [f"own labels, {options.architecture.value}"] if options.own_labels else []
    words += ["frozen"] if options.frozen else []
    words += [f"without {json.dumps(sorted(options.excluded_sources))}"] if options.excluded_sources else []
    plain = replace(options, augmentation=None).augmented
    words += [f"augmentation {options.augmented.value}"] if options.augmented is not plain else []
    words += [f"patients {patients_sha256}"] if patients_sha256 else []
    if not words:
        return label_set_sha256
    return hashlib.sha256(f"{label_set_sha256} {' '.join(words)}".encode()).hexdigest()


def read_taken_over(
    settings: Settings, policy: RetrainingPolicy, architecture: Architecture | None = None
) -> TrainingOptions:
    """What a retraining takes over of the champion: its remedies, which films it left out, and its augmentation.

    The policy may name another augmentation. Of a champion that learned this site's labels alone also that, its
    network, whether the base was frozen, and the input size: trained on all labels it would be another kind of model.
    None of these four where an `architecture` is named: that one learns all labels, at its own input size.
    What is taken over is the network's own where there is no champion, or where it came from elsewhere.
    """
    manifest = _read_champion(settings)
    word = policy.modifications.augmentation
    augmentation = None if word is RetrainingAugmentation.AS_THE_CHAMPION else Augmentation(word.value)
    plain = TrainingOptions(architecture=architecture or Architecture.SEED_CNN, augmentation=augmentation)
    if manifest is None:
        return plain
    champions = manifest.training.get("augmentation")
    choice = read_choice(manifest.training)
    taken_over = replace(
        plain,
        remedies=tuple(Remedy(word) for word in manifest.preprocessing.remedies),
        erase_border=bool(manifest.training.get("erase_border")),
        augmentation=augmentation or (Augmentation(str(champions)) if champions else None),
        excluded_sources=choice.excluded_sources,
    )
    takes_network = choice.own_labels and architecture is None
    return _take_over_network(taken_over, manifest) if takes_network else taken_over


def _take_over_network(options: TrainingOptions, manifest: ModelManifest) -> TrainingOptions:
    size, frozen = manifest.training.get("input_size"), bool(manifest.training.get("frozen"))
    return replace(
        options,
        architecture=Architecture(manifest.architecture),
        frozen=frozen,
        own_labels=True,
        trainable_base=bool(manifest.training.get("trainable_base")),
        input_size=None if size is None else int(size),
        augmentation=None if frozen else options.augmentation,  # a frozen base is shown no changed films
    )


def find_unnamed_base(settings: Settings, options: TrainingOptions) -> Due | None:
    """Why no retraining can begin: the champion's base had weights of a local file, and a retraining of it names none.

    A base of random weights would be another model, and nobody would have asked for it.
    """
    if not options.own_labels or options.weights is not None:
        return None
    champion = _read_champion(settings)
    named = "" if champion is None else str(champion.training.get("weights") or "")
    if champion is None or not named.endswith(".weights.h5"):
        return None
    return Due(
        False,
        f"the base of the champion {champion.version} had the weights of a local file, and none is named",
        f"run the deployment `retrain` by hand with the parameter `weights` that names {named}, or another "
        "`architecture`",
    )


def check_base_weights(settings: Settings, options: TrainingOptions) -> None:
    """Raise RefusedInput where `find_unnamed_base` finds one."""
    if unnamed := find_unnamed_base(settings, options):
        raise RefusedInput(f"retraining: {unnamed.reason}", public=True)


def _read_champion(settings: Settings) -> ModelManifest | None:
    with open_ledger(settings) as engine, snapshot(engine) as session:
        champion = models.champion(session)
    return None if champion is None else read_manifest(settings.models_dir / champion.version)
