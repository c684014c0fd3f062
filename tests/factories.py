"""X-ray files and values for every test."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np

from xray_core.exchange.records import LabelLine, ResultLine
from xray_core.records import FileFormat, FileState, Label, Outcome, ReasonCode
from xray_core.synthetic.xrays import draw_xray, save_xray

NOW = datetime(2026, 5, 1, 9, 30, tzinfo=UTC)


def write_xray(
    path: Path,
    label: Label = Label.NORMAL,
    seed: int = 0,
    format: Literal["png", "jpeg"] = "png",  # noqa: A002 - the word that Pillow uses as well
    size: int = 96,
    *,
    age_seconds: float = 0,
) -> Path:
    """Write one synthetic X-ray under any name; the same arguments give the same bytes.

    With `age_seconds` the file says that it was last changed so long ago.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    save_xray(path, draw_xray(np.random.default_rng(seed), label, size), FileFormat(format))
    if age_seconds:
        changed = path.stat().st_mtime - age_seconds
        os.utime(path, (changed, changed))
    return path


def result_line(
    file: str = "a.png",
    *,
    content: str | None = "a",
    patient: str | None = None,
    probability: float = 0.75,
    label: Label | None = None,
    labelled_by: str | None = None,
    labelled_at: datetime | None = None,
) -> ResultLine:
    """A scored file's line of the results CSV; `content` is any digit or letter a-f, repeated to a SHA-256."""
    return ResultLine(
        file=file,
        xray_sha256=content * 64 if content else None,
        patient=patient,
        outcome=Outcome.POSITIVE,
        probability_covid=probability,
        model_version="m1",
        scored_at=NOW,
        state=FileState.SCORED,
        reason_code=None,
        label=label,
        labelled_by=labelled_by,
        labelled_at=labelled_at,
    )


def rejected_line(file: str = "broken.png", reason: ReasonCode = ReasonCode.CORRUPT_IMAGE) -> ResultLine:
    """A rejected file's line of the results CSV: no content, no score."""
    return ResultLine(file, None, None, None, None, None, None, FileState.REJECTED, reason, None, None, None)


def label_row(filename: str = "a.png", label: Label = Label.COVID, *, line: int = 2) -> LabelLine:
    """A row of a labels CSV that names a file and nothing else."""
    return LabelLine(line, filename, None, label, None, None)
