"""What a DICOM header calls the patient, the study and the image."""

from __future__ import annotations

import re

from pydicom import Dataset

from xray_core.imaging.dicom.tags import read_text
from xray_core.imaging.records import Identifiers

_LONGEST = 64  # PS3.5, 9.1
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")


def identify(dataset: Dataset) -> Identifiers:
    """The raw identifiers of a header."""
    return Identifiers(
        patient=read_text(dataset, "PatientID") or None,
        study=read_uid(read_text(dataset, "StudyInstanceUID")),
        image=read_uid(read_text(dataset, "SOPInstanceUID")),
    )


def read_uid(text: str) -> str | None:
    """A UID without what pads it (blanks, a zero byte); None where a text is none: a tag can hold anything."""
    uid = text.strip(" \0\t\r\n")
    return uid if len(uid) <= _LONGEST and _UID.fullmatch(uid) else None
