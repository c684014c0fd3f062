"""The flip report: which X-rays would be called otherwise by another model."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xray_core.exchange.atomic_file import write_whole
from xray_core.exchange.formula_guard import guard_text
from xray_core.records import AUDIT_NOT_KNOWN, AuditVerdict, Label, Outcome

COLUMNS: Final = (
    "file",
    "xray_sha256",
    "patient",
    "label",
    "model_a",
    "shortcut_audit_a",
    "outcome_a",
    "probability_covid_a",
    "model_b",
    "shortcut_audit_b",
    "outcome_b",
    "probability_covid_b",
)


@dataclass(frozen=True, slots=True)
class Compared:
    """What two models say of one X-ray: P(covid) and outcome of each."""

    file: str
    xray_sha256: str
    patient: str | None
    label: Label | None
    probability_a: float
    outcome_a: Outcome
    probability_b: float
    outcome_b: Outcome

    @property
    def flips(self) -> bool:
        """Whether the outcome changes."""
        return self.outcome_a is not self.outcome_b


@dataclass(frozen=True, slots=True)
class FlipReport:
    """Two models on the same X-rays; `unread` are X-rays whose file is not there any more.

    The audits are the verdicts of both, None where nobody has audited them: they stand beside the scores.
    """

    model_a: str
    model_b: str
    compared: tuple[Compared, ...]
    unread: int
    audit_a: AuditVerdict | None = None
    audit_b: AuditVerdict | None = None

    @property
    def flips(self) -> tuple[Compared, ...]:
        """The X-rays whose outcome changes, the largest change of score first."""
        flipped = [xray for xray in self.compared if xray.flips]
        return tuple(
            sorted(flipped, key=lambda xray: (-abs(xray.probability_a - xray.probability_b), xray.xray_sha256))
        )

    def count(self) -> dict[tuple[Outcome, Outcome], int]:
        """How many X-rays go from which outcome to which; those that stay are there too."""
        return dict(sorted(Counter((xray.outcome_a, xray.outcome_b) for xray in self.compared).items()))

    def lines(self) -> list[str]:
        """For people: counts first; where readers have labelled flipped X-rays, who was right."""
        lines = [
            f"{len(self.flips)} of {len(self.compared)} X-rays change outcome from {self.model_a} to {self.model_b}"
        ]
        lines += [
            f"  {before:8} -> {after:8} {number}"
            for (before, after), number in self.count().items()
            if before is not after
        ]
        if self.unread:
            lines.append(f"  {self.unread} more could not be read again and are left out")
        labelled = [xray for xray in self.flips if xray.label in _RIGHT]
        if labelled:
            right = [
                sum(outcome is _RIGHT[xray.label] for xray, outcome in _outcomes(labelled, side)) for side in (0, 1)
            ]
            lines.append(
                f"  of {len(labelled)} that readers have labelled, {self.model_a} had {right[0]} right, "
                f"{self.model_b} {right[1]}"
            )
        audits = {self.model_a: self.audit_a, self.model_b: self.audit_b}
        return [*lines, *(f"  shortcut audit of {version}: {_name_audit(audit)}" for version, audit in audits.items())]


def _name_audit(audit: AuditVerdict | None) -> str:
    if audit is None:
        return AUDIT_NOT_KNOWN
    return audit.value.upper() if audit is AuditVerdict.CONFOUNDED else audit.value


_RIGHT: Final[dict[Label | None, Outcome]] = {Label.COVID: Outcome.POSITIVE, Label.NORMAL: Outcome.NEGATIVE}


def _outcomes(compared: Sequence[Compared], side: int) -> list[tuple[Compared, Outcome]]:
    return [(xray, (xray.outcome_a, xray.outcome_b)[side]) for xray in compared]


def write_flips_csv(path: Path, report: FlipReport, *, with_file_names: bool = True) -> int:
    """Write every X-ray whose outcome changes; returns how many. Safe to open in a spreadsheet, whole or not there."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(COLUMNS)
    for xray in report.flips:
        writer.writerow(
            (
                guard_text(xray.file) if with_file_names else xray.xray_sha256[:16],
                xray.xray_sha256,
                guard_text(xray.patient or ""),
                xray.label or "",
                guard_text(report.model_a),
                _name_audit(report.audit_a),
                xray.outcome_a.value,
                xray.probability_a,
                guard_text(report.model_b),
                _name_audit(report.audit_b),
                xray.outcome_b.value,
                xray.probability_b,
            )
        )
    write_whole(path, text.getvalue().encode())
    return len(report.flips)
