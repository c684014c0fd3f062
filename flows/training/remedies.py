"""Remedies by the words that a person types, and those of the champion, which a retraining may not change."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from db.engine import snapshot
from db.registry import models
from flows.home.ledger import open_ledger
from flows.settings import Settings
from xray_core.errors import RefusedInput
from xray_core.imaging.records import Remedy
from xray_core.models.folder import read_manifest

ERASE_BORDER = "erase-border"
REMEDY_WORDS = (*(remedy.value for remedy in Remedy), ERASE_BORDER)


def parse_remedies(words: Sequence[str]) -> tuple[tuple[Remedy, ...], bool]:
    """The steps of preprocessing that words name, and whether training erases borders. Raises RefusedInput."""
    for word in words:
        if word not in REMEDY_WORDS:
            raise RefusedInput(f"--remedy: received {word!r}; expected one of {', '.join(REMEDY_WORDS)}")
    return tuple(remedy for remedy in Remedy if remedy.value in words), ERASE_BORDER in words


def sign_training(
    label_set_sha256: str, remedies: Sequence[Remedy], *, erase_border: bool, patients_sha256: str | None
) -> str:
    """What is trained on once: the label set, with it what was said of its patients, and remedies where there are any.

    `patients_sha256` is of whose the X-rays are by what was said after they came; None where nothing was.
    """
    words = [remedy.value for remedy in Remedy if remedy in remedies] + ([ERASE_BORDER] if erase_border else [])
    words += [f"patients {patients_sha256}"] if patients_sha256 else []
    if not words:
        return label_set_sha256
    return hashlib.sha256(f"{label_set_sha256} {' '.join(words)}".encode()).hexdigest()


def read_champion_remedies(settings: Settings) -> tuple[tuple[Remedy, ...], bool]:
    """The champion's remedies; none where there is no champion."""
    with open_ledger(settings) as engine, snapshot(engine) as session:
        champion = models.champion(session)
    if champion is None:
        return (), False
    manifest = read_manifest(settings.models_dir / champion.version)
    remedies = tuple(Remedy(word) for word in manifest.preprocessing.remedies)
    return remedies, bool(manifest.training.get("erase_border"))
