"""What a DICOM file shows: a projection radiograph of a person's chest, as far as its tags say anything."""

from __future__ import annotations

import re
from collections.abc import Collection

from pydicom import Dataset

from xray_core.errors import UnreadableXray
from xray_core.imaging.dicom.body_part import names_chest
from xray_core.imaging.dicom.tags import corrupt, read_items, read_text
from xray_core.records import ReasonCode

_MODALITIES = frozenset({"DX", "CR", "RG"})
_ANIMAL = re.compile(r"\b(canine|feline|equine|bovine|veterinary)\b", re.IGNORECASE)
_PERSON = re.compile(r"homo sapiens|human", re.IGNORECASE)
PROTOCOLS = ("AcquisitionDeviceProcessingDescription", "ProtocolName", "SeriesDescription", "StudyDescription")


def check_subject(dataset: Dataset, chest_words: Collection[str]) -> None:
    """Raise UnreadableXray CORRUPT_DICOM, WRONG_MODALITY or WRONG_BODY_PART for anything else."""
    modality = read_text(dataset, "Modality").upper()
    if not modality:
        raise corrupt("no Modality")
    if modality not in _MODALITIES:
        raise UnreadableXray(ReasonCode.WRONG_MODALITY, f"expected Modality {', '.join(sorted(_MODALITIES))}")
    body_part = read_text(dataset, "BodyPartExamined")
    if body_part and not names_chest(body_part, chest_words):
        raise UnreadableXray(
            ReasonCode.WRONG_BODY_PART,
            "BodyPartExamined names no chest; if it is a word for one, add it to XRAY_CHEST_WORDS and touch the file",
        )
    if _is_animal(dataset):
        raise UnreadableXray(ReasonCode.WRONG_BODY_PART, "its tags speak of an animal; expected a person")


def _is_animal(dataset: Dataset) -> bool:
    species = [read_text(dataset, "PatientSpeciesDescription"), *_meanings(dataset, "PatientSpeciesCodeSequence")]
    if any(word and not _PERSON.search(word) for word in species) or read_text(dataset, "PatientBreedDescription"):
        return True
    protocols = [read_text(dataset, keyword) for keyword in PROTOCOLS]
    return any(_ANIMAL.search(word) for word in (*protocols, *_meanings(dataset, "PerformedProtocolCodeSequence")))


def _meanings(dataset: Dataset, keyword: str) -> list[str]:
    return [read_text(item, "CodeMeaning") for item in read_items(dataset, keyword)]
