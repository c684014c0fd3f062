"""The rows of the CSV files that leave and arrive."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from xray_core.records import FileState, Label, Outcome, ReasonCode


@dataclass(frozen=True, slots=True)
class ResultLine:
    """One line of the results CSV: one file that the service decided on.

    `refer_reason` is what the result keeps of why it is referred; None where the score simply lies between thresholds.
    `label_standing` says how far readers are of one mind: agreed, single, disputed (then there is no label) or
    adjudicated. `patient`, `study` and `image` are pseudonyms.
    """

    file: str
    xray_sha256: str | None
    patient: str | None
    outcome: Outcome | None
    probability_covid: float | None
    model_version: str | None
    scored_at: datetime | None
    state: FileState
    reason_code: ReasonCode | None
    label: Label | None
    labelled_by: str | None
    labelled_at: datetime | None
    refer_reason: str | None = None
    study: str | None = None
    image: str | None = None
    label_standing: str | None = None


@dataclass(frozen=True, slots=True)
class LabelLine:
    """One accepted row of a labels CSV or one file of a folder per class.

    `score_visible` says whether its reader had the model's score before the eyes, None where nobody can tell; `word` is
    what it said, in lower case, where that is a word of the site's own.
    """

    line: int
    filename: str
    xray_sha256: str | None
    label: Label
    labelled_by: str | None
    labelled_at: datetime | None
    patient_id: str | None = field(default=None, repr=False)
    score_visible: bool | None = None
    word: str | None = None


@dataclass(frozen=True, slots=True)
class DatasetItem:
    """One X-ray file of a dataset; what is None nobody has written down. `patient` is the id as the CSV has it.

    `word` is the site's own word that gave its label, where it was one.
    """

    path: Path
    label: Label
    patient: str | None
    source: str | None = None
    view: str | None = None
    sex: str | None = None
    age_group: str | None = None
    word: str | None = None
